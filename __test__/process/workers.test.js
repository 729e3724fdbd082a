'use strict'

// Worker threads share one engine and one budget, and end whenever they want: their promises end with them, their
// messages don't.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { join } = require('node:path')
const { test } = require('node:test')
const { setTimeout: delay } = require('node:timers/promises')
const { Worker } = require('node:worker_threads')

const { Sender, Simulator } = require('../../index.js')
const { CHILDREN, message, optionsFor, PATIENCE_MS, randomOf, start, assertEnd, until } = require('./support.js')

const WORKERS = 20
const PER_WORKER = 60
const PARENTS = 60
const QUOTA = { requests: 100, perMs: 200 }

function startWorker(data) {
  return new Worker(join(CHILDREN, 'sending-worker.js'), { workerData: data })
}

/** Every message that a worker knew as accepted arrived, once and in order, and the budget held over all threads. */
function assertAllArrived(ledger, accepted) {
  const missing = []
  for (const [index, count] of accepted.entries()) {
    for (let seq = 1; seq <= count; seq++) {
      if (ledger.ids[`w${index}-${seq}`] !== 1) missing.push(`w${index}-${seq}: ${ledger.ids[`w${index}-${seq}`] ?? 0}`)
    }
  }
  assert.deepEqual(missing, [])
  const { duplicates, orderViolations, refused, mostInWindow, maxInFlightPerConversation } = ledger
  assert.deepEqual(
    { duplicates, orderViolations, refused, maxInFlightPerConversation },
    { duplicates: 0, orderViolations: 0, refused: 0, maxInFlightPerConversation: 1 },
  )
  assert.ok(mostInWindow <= QUOTA.requests, `${mostInWindow} requests in ${QUOTA.perMs} ms`)
}

for (const round of [1, 2, 3]) {
  const limit = { timeout: 2 * PATIENCE_MS }
  test(`${WORKERS} workers that are terminated at random lose no message and share one budget, round ${round}`, limit, async (t) => {
    const seed = Number(process.env.SPILLWAY_SEED ?? Date.now() + round) >>> 0
    t.diagnostic(`seed ${seed}`)
    const random = randomOf(seed)
    const simulator = await Simulator.start({ quota: { ...QUOTA, algorithm: 'sliding-log' }, latencyMs: { min: 2, max: 20 } })
    t.after(() => simulator.close())
    const options = optionsFor(simulator.url, { rateLimit: QUOTA })
    const parent = await Sender.open(options)
    t.after(() => parent.close({ timeoutMs: 0 }))
    const delivered = new Set()
    parent.on('delivered', ({ id }) => delivered.add(id))

    const accepted = new Int32Array(new SharedArrayBuffer(WORKERS * 4))
    const last = Array.from(accepted, () => Math.floor(random() * (PER_WORKER + 1)))
    const errors = []
    const lives = Array.from({ length: WORKERS }, async (_, index) => {
      const worker = startWorker({ options, accepted, index, messages: PER_WORKER, everyMs: 2, end: 'terminated' })
      worker.on('error', (error) => errors.push(error))
      // Some are terminated while they start, most in full flow, some when they have nothing left to do.
      if (index % 5 === 0) await delay(random() * 300)
      else await until(() => Atomics.load(accepted, index) >= last[index] || errors.length > 0)
      await worker.terminate()
    })
    const receipts = Array.from({ length: PARENTS }, (_, index) => {
      return parent.send(message(`parent-${index}`, `parent-c${index % 3}`, index))
    })
    await Promise.all(lives)
    assert.deepEqual(errors, [])
    assert.equal((await Promise.all(receipts)).length, PARENTS)
    await parent.drain({ timeoutMs: PATIENCE_MS })

    const ledger = simulator.ledger({ ids: true })
    assertAllArrived(ledger, accepted)
    t.diagnostic(`${accepted.reduce((sum, count) => sum + count, 0)} accepted of ${WORKERS * PER_WORKER}, ${ledger.uniqueIds} arrived`)
    assert.ok(
      accepted.some((count) => count > 0 && count < PER_WORKER),
      'none was terminated in full flow',
    )
    await until(() => delivered.size === ledger.uniqueIds)
    assert.equal(parent.stats().queue.messages, 0)
  })
}

test('workers that end in every other way leave their messages, too', { timeout: 2 * PATIENCE_MS }, async (t) => {
  const simulator = await Simulator.start({ quota: { ...QUOTA, algorithm: 'sliding-log' }, latencyMs: { min: 2, max: 20 } })
  t.after(() => simulator.close())
  const options = optionsFor(simulator.url, { rateLimit: QUOTA })
  const parent = await Sender.open(options)
  t.after(() => parent.close({ timeoutMs: 0 }))
  const ends = ['starting', 'natural', 'exit', 'throw', 'close'].flatMap((end) => [end, end, end])
  const accepted = new Int32Array(new SharedArrayBuffer(ends.length * 4))
  const codes = await Promise.all(
    ends.map(async (end, index) => {
      const worker = startWorker({ options, accepted, index, messages: 20, end })
      const errors = []
      worker.on('error', (error) => errors.push(error.message))
      const code = await new Promise((resolve) => worker.on('exit', resolve))
      assert.equal(errors.length, end === 'throw' ? 1 : 0, errors.join())
      return code
    }),
  )
  assert.deepEqual(
    codes,
    ends.map((end) => (end === 'throw' ? 1 : 0)),
  )
  await parent.drain({ timeoutMs: PATIENCE_MS })
  assert.deepEqual(
    [...accepted],
    ends.map((end) => (end === 'starting' ? 0 : 20)),
  )
  assertAllArrived(simulator.ledger({ ids: true }), accepted)
})

test('a worker alone loads the addon, sends and ends: its messages go on without any sender', async (t) => {
  for (const how of ['terminated', 'exit', 'natural']) {
    await t.test(how, async (t) => {
      const simulator = await Simulator.start({ quota: QUOTA, latencyMs: 5 })
      t.after(() => simulator.close())
      const options = optionsFor(simulator.url, { rateLimit: QUOTA })
      const { child, ended } = start('lonely-worker.js', { options, how, messages: 300 })
      await Promise.race([ended, until(() => simulator.ledger().uniqueIds === 300)])
      child.stdin.end()
      const end = await ended
      assertEnd(end, { code: 0 })
      assert.deepEqual(JSON.parse(end.stdout), { accepted: 300, addonLoadedByMain: false })
      assertAllArrived(simulator.ledger({ ids: true }), new Int32Array([300]))
    })
  }
})

test('the sender that opened the engine leaves first, the last one is a worker', async (t) => {
  const simulator = await Simulator.start({ quota: QUOTA, latencyMs: 5 })
  t.after(() => simulator.close())
  const options = optionsFor(simulator.url, { rateLimit: QUOTA })
  const first = await Sender.open(options)
  const accepted = new Int32Array(new SharedArrayBuffer(4))
  const worker = startWorker({ options, accepted, index: 0, messages: 300, end: 'natural' })
  const exited = once(worker, 'exit')
  await until(() => Atomics.load(accepted, 0) > 10)
  assert.deepEqual(await first.close({ timeoutMs: PATIENCE_MS }), { undelivered: 0 })
  await exited
  assert.equal(accepted[0], 300)
  // Nobody is left; the engine delivers what it has.
  await until(() => simulator.ledger().uniqueIds === 300)
  assertAllArrived(simulator.ledger({ ids: true }), accepted)
})
