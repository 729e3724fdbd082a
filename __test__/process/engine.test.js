'use strict'

// One engine per organization and process: who joins it, who may not, and what is left when all have gone.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { join } = require('node:path')
const { test } = require('node:test')
const { Worker } = require('node:worker_threads')

const { ClosedError, ConfigError, Sender, Simulator } = require('../../index.js')
const { assertEnd, CHILDREN, message, optionsFor, PATIENCE_MS, run, until } = require('./support.js')

const WINDOW_MS = 400

async function simulate(t, config) {
  const simulator = await Simulator.start(config)
  t.after(() => simulator.close())
  return simulator
}

async function open(t, options) {
  const sender = await Sender.open(options)
  t.after(() => sender.close({ timeoutMs: 0 }))
  return sender
}

/** What a worker thread's own `Sender.open` comes to. */
async function openInWorker(options) {
  const worker = new Worker(join(CHILDREN, 'opening-worker.js'), { workerData: options })
  // Both from the start: a worker's last message and its end may come in one go.
  const [[answer]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')])
  return answer
}

test('a second open with other options names the field, in this thread and in another', async (t) => {
  const simulator = await simulate(t)
  const options = optionsFor(simulator.url, {
    rateLimit: { requests: 100, perMs: 1_000 },
    retry: { maxAttempts: 5 },
    credentials: { clientId: 'one-client', clientSecret: 'canary-one' },
  })
  await open(t, options)
  const others = [
    ['rateLimit.requests', { rateLimit: { requests: 50, perMs: 1_000 } }, ['"50"', '"100"']],
    ['rateLimit.perMs', { rateLimit: { requests: 100, perMs: 2_000 } }, ['"2000"', '"1000"']],
    ['retry.maxAttempts', { retry: { maxAttempts: 6 } }, ['"6"', '"5"']],
    ['retry.maxAttempts', { retry: {} }, ['"10"', '"5"']],
    ['queue.whenFull', { queue: { whenFull: 'reject' } }, ['"reject"', '"wait"']],
    ['ordering', { ordering: 'none' }, ['"none"', '"conversation"']],
    ['route', { route: 'agentless' }, ['"agentless"', '"messaging"']],
    ['apiUrl', { apiUrl: 'http://127.0.0.1:1' }, ['127.0.0.1:1']],
    ['credentials', { credentials: { clientId: 'one-client', clientSecret: 'canary-two' } }, []],
    ['credentials', { credentials: { accessToken: 'canary-three' } }, []],
  ]
  for (const [field, other, shown] of others) {
    const wanted = { ...options, ...other }
    const inWorker = await openInWorker(wanted)
    const error = await Sender.open(wanted).then(
      () => assert.fail(`${field} was accepted`),
      (reason) => reason,
    )
    assert.ok(error instanceof ConfigError)
    for (const { code, field: named, message } of [error, inWorker]) {
      assert.deepEqual({ code, named }, { code: 'CONFIG_CONFLICT', named: field })
      assert.ok(message.includes(options.organization), message)
      for (const text of shown) assert.ok(message.includes(text), `${message} should show ${text}`)
      assert.ok(!message.includes('canary'), message)
    }
  }
  assert.deepEqual(await openInWorker({ ...options, retry: { maxAttempts: 5, maxAgeMs: 600_000 } }), { opened: true })
})

test('closing one sender leaves the others as they are', async (t) => {
  const simulator = await simulate(t, { latencyMs: 20 })
  const options = optionsFor(simulator.url, { rateLimit: { requests: 20, perMs: 100 } })
  const [one, other] = [await open(t, options), await open(t, options)]
  const mine = Promise.allSettled(Array.from({ length: 60 }, (_, seq) => one.send(message(`one-${seq}`, 'c1', seq))))
  const theirs = Promise.all(Array.from({ length: 60 }, (_, seq) => other.send(message(`other-${seq}`, 'c2', seq))))
  const { undelivered } = await one.close({ timeoutMs: 0 })
  assert.ok(undelivered > 0, 'there was nothing left to deliver')
  const refused = (await mine).filter(({ reason }) => reason instanceof ClosedError)
  assert.ok(refused.length > 0, 'the pending promises end with the sender')
  await assert.rejects(one.send(message('late', 'c', 1)), ClosedError)
  assert.equal((await theirs).length, 60)
  // What the closed sender handed over goes on: the engine has it.
  await other.drain({ timeoutMs: PATIENCE_MS })
  assert.equal(simulator.ledger().uniqueIds, 120)
})

test('after all senders have closed, the organization may be opened with other options at once', async (t) => {
  const simulator = await simulate(t)
  const options = optionsFor(simulator.url)
  for (let round = 1; round <= 100; round++) {
    const senders = await Promise.all([1, 2].map(() => Sender.open({ ...options, retry: { maxAttempts: round } })))
    await senders[0].send(message(`m${round}`, 'c', round))
    await Promise.all(senders.map((sender) => sender.close()))
  }
  const { uniqueIds, duplicates, orderViolations } = simulator.ledger()
  assert.deepEqual({ uniqueIds, duplicates, orderViolations }, { uniqueIds: 100, duplicates: 0, orderViolations: 0 })
})

test('what is left at the last close is gone, and comes to nobody', async (t) => {
  const simulator = await simulate(t)
  const options = optionsFor(simulator.url, { rateLimit: { requests: 1, perMs: 60_000 } })
  const sender = await Sender.open(options)
  for (let seq = 0; seq < 10; seq++) await sender.enqueue(message(`m${seq}`, 'c', seq))
  await until(() => sender.stats().counters.delivered === 1)
  assert.deepEqual(await sender.close({ timeoutMs: 50 }), { undelivered: 9 })
  const again = await open(t, options)
  assert.equal(again.stats().queue.messages, 0)
})

test('the budget outlives the engine: closing and opening again gives no second quota', async (t) => {
  const quota = { requests: 20, perMs: WINDOW_MS }
  const simulator = await simulate(t, { quota: { ...quota, algorithm: 'sliding-log' }, latencyMs: { min: 0, max: 10 } })
  const options = optionsFor(simulator.url, { rateLimit: quota })
  for (let round = 0; round < 6; round++) {
    // Other options from round to round: other engines, the same organization.
    const sender = await Sender.open({ ...options, retry: { maxAttempts: round + 1 } })
    await Promise.all(Array.from({ length: 15 }, (_, seq) => sender.send(message(`${round}-${seq}`, `c${seq}`, round))))
    await sender.close()
  }
  const { uniqueIds, mostInWindow, refused } = simulator.ledger()
  assert.equal(uniqueIds, 90)
  assert.ok(mostInWindow <= quota.requests, `${mostInWindow} requests in ${WINDOW_MS} ms`)
  assert.equal(refused, 0)
})

/** Opens a sender, and closes it as soon as the server has asked for a pause; when that ends. */
async function closeInPause(options) {
  const sender = await Sender.open(options)
  let throttled = null
  sender.once('throttled', (pause) => (throttled = pause))
  for (let seq = 1; seq <= 2; seq++) await sender.enqueue(message(`m${seq}`, 'c', seq))
  const { untilMs } = await until(() => throttled)
  await sender.close({ timeoutMs: 0 })
  return untilMs
}

test('so does a pause that the server asked for', async (t) => {
  // The second request is refused for a minute: as long as the machine may take to open again.
  const simulator = await simulate(t, { quota: { requests: 1, perMs: 60_000 }, retryAfter: 'right' })
  const options = optionsFor(simulator.url)
  const untilMs = await closeInPause(options)
  const again = await open(t, { ...options, retry: { maxAttempts: 3 } })
  const { pause } = again.stats()
  assert.ok(pause !== null && Math.abs(pause.untilMs - untilMs) < 50, JSON.stringify({ pause, untilMs }))
})

test('nothing leaves in such a pause', async (t) => {
  const simulator = await simulate(t, { script: [{ request: 1, status: 429 }], retryAfter: 'right' })
  const options = optionsFor(simulator.url)
  const untilMs = await closeInPause(options)
  const again = await open(t, { ...options, retry: { maxAttempts: 3 } })
  await again.send(message('m3', 'c', 3))
  assert.ok(Date.now() >= untilMs - 50, `it waited until ${untilMs - Date.now()} ms before the end`)
})

test('a worker that is asked for the access token and ends leaves the question to another sender', async (t) => {
  const simulator = await simulate(t, { authRequired: false })
  const options = optionsFor(simulator.url)
  const shared = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(join(CHILDREN, 'silent-token-worker.js'), { workerData: { options, shared } })
  await until(() => Atomics.load(shared, 0) === 1)
  let asked = 0
  const accessToken = () => {
    asked++
    return 'a-token'
  }
  const sender = await open(t, { ...options, credentials: { accessToken } })
  const sent = sender.send(message('m1', 'c', 1))
  // An engine that tells of a message has done before what it would do with it.
  for (const id of ['m1', 'm0']) assert.equal((await sender.explain(id)).state, 'queued', 'the worker has not answered yet')
  assert.deepEqual([asked, simulator.ledger().arrivals], [0, 0])
  await worker.terminate()
  assert.equal((await sent).status, 200)
  assert.equal(asked, 1)
})

test('senders that are dropped without being closed crash nothing, and closed ones are collected', async (t) => {
  const simulator = await simulate(t)
  const end = await run('garbage.js', { options: optionsFor(simulator.url) }, { nodeArgs: ['--expose-gc'] })
  assertEnd(end, { code: 0 })
  const { closed, collected } = JSON.parse(end.stdout)
  assert.ok(collected >= closed * 0.9, `${collected} of ${closed} closed senders were collected`)
})
