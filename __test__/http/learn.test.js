'use strict'

// `rateLimit: 'learn'` over real HTTP: a smoke of each family of headers and of none; the figures are in
// crates/core/tests/limits.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { Worker } = require('node:worker_threads')

const { event, message, open, serve, simulate } = require('./support.js')
const { until } = require('../until.js')

const LIMIT_MS = 60_000
const QUOTA = { requests: 50, perMs: 1_000 }

const sendAll = (sender, count) =>
  Promise.all(Array.from({ length: count }, (_, index) => sender.send(message(`m${index}`, `c${index}`))))

test('each family', { concurrency: true, timeout: LIMIT_MS }, async (t) => {
  const runs = []
  for (const headers of ['x', 'inin', 'ietf', 'ietf-legacy', 'none']) {
    runs.push(t.test(headers, async (t) => {
      const simulator = await simulate(t, { quota: QUOTA, headers, retryAfter: 'zero', latencyMs: { min: 5, max: 15 } })
      const sender = await open(t, simulator, { rateLimit: 'learn' })
      const events = []
      sender.on('quota', (quota) => events.push(quota))
      assert.deepEqual(sender.stats().quota.windows, [{ requests: 300, perMs: 60_000, why: 'start', share: null }])
      await sendAll(sender, 200)

      const { accepted, refused, duplicates } = simulator.ledger()
      assert.deepEqual({ accepted, duplicates }, { accepted: 200, duplicates: 0 })
      const { windows: [window], source, sinceMs } = sender.stats().quota
      assert.equal(source, 'learned')
      assert.equal(window.why, headers === 'none' ? 'refusals' : 'headers')
      assert.equal(window.perMs, 1_000)
      assert.ok(Math.abs(sinceMs - Date.now()) < LIMIT_MS)
      assert.equal(events[0]?.source, 'learned')
      if (headers === 'none') assert.ok(refused < 60, `${refused} refused`)
      else assert.deepEqual([window.requests, events[0].windows[0].why], [50, 'headers'])
    }))
  }
  await Promise.all(runs)
})

/** Eight worker threads with a sender each, of one organisation; each sends `count` messages. Gives what each believes at its end. */
function sendFromEightThreads(options, count) {
  return Promise.all(Array.from({ length: 8 }, (_, index) => new Promise((resolve, reject) => {
    const code = `
      const { parentPort, workerData } = require('node:worker_threads')
      const { Sender } = require(workerData.entry)
      const run = async () => {
        const sender = await Sender.open({ route: 'messaging', store: 'memory', credentials: { accessToken: 'token' }, ...workerData.options })
        const sends = Array.from({ length: workerData.count }, (_, n) =>
          sender.send({ conversationId: 'c' + workerData.index + '-' + n, body: { text: 'hi' } }))
        await Promise.all(sends)
        const { windows } = sender.stats().quota
        await sender.close()
        parentPort.postMessage(windows)
      }
      run()`
    const worker = new Worker(code, { eval: true, workerData: { entry: require.resolve('../../index.js'), options, count, index } })
    worker.once('message', resolve)
    worker.once('error', reject)
  })))
}

test('eight worker threads learn as one', { timeout: LIMIT_MS }, async (t) => {
  const simulator = await simulate(t, { quota: QUOTA, headers: 'x', latencyMs: { min: 5, max: 15 } })
  const believed = await sendFromEightThreads({ organization: 'learn-8', apiUrl: simulator.url, rateLimit: 'learn' }, 20)
  for (const windows of believed) assert.deepEqual(windows[0].requests, 50)
  const { accepted, refused, mostInWindow } = simulator.ledger()
  assert.equal(accepted, 160)
  assert.ok(refused <= 2 && mostInWindow <= 2 * QUOTA.requests, `${refused} refused, ${mostInWindow} in a window`)
})

// Requests arrive at once and are answered late, so that what is on the wire has arrived, and a probe is alone for long.
const SLOW = { latencyMs: { min: 600, max: 600 }, arrivalMs: { min: 0, max: 0 } }
const PAUSES = [
  {
    name: 'a known quota, one 429',
    rateLimit: { requests: 100, perMs: 1_000 },
    server: { quota: { requests: 100, perMs: 1_000 }, script: [{ request: 60, status: 429 }], ...SLOW },
  },
  {
    name: 'a quota that is learned from refusals',
    rateLimit: { learn: true, start: { requests: 200, perMs: 1_000 } },
    server: { quota: QUOTA, headers: 'none', retryAfter: 'right', ...SLOW },
  },
]

test('eight worker threads after a pause: one probe, then a ramp', { concurrency: true, timeout: LIMIT_MS }, async (t) => {
  const runs = PAUSES.map(({ name, rateLimit, server }, index) => t.test(name, async (t) => {
    const simulator = await simulate(t, server)
    const options = { organization: `ramp-8-${index}`, apiUrl: simulator.url, loginUrl: undefined, credentials: { accessToken: 'token' }, rateLimit }
    const observer = await open(t, simulator, options)
    const throttled = event(observer, 'throttled')
    const ends = sendFromEightThreads(options, 40)
    await throttled
    const before = simulator.ledger().arrivals
    const samples = []
    await until(() => {
      const arrivals = simulator.ledger().arrivals - before
      samples.push({ arrivals, atMs: performance.now() })
      return arrivals > 20
    })

    const probe = samples.find(({ arrivals }) => arrivals > 0)
    for (const { arrivals, atMs } of samples) {
      // Half of the probe's time: this thread may have seen it late.
      if (atMs >= probe.atMs && atMs < probe.atMs + 300) assert.equal(arrivals, 1, 'nothing leaves beside the probe')
    }
    const alone = samples.filter(({ arrivals }) => arrivals === 1).pop()
    const many = samples.at(-1)
    // At least an even 50 in a quarter of a second.
    assert.ok(many.atMs - alone.atMs >= 50, `${many.arrivals} requests within ${many.atMs - alone.atMs} ms`)
    await ends
    assert.equal(simulator.ledger().accepted, 320)
  }))
  await Promise.all(runs)
})

test('the limits of the organisation are a first belief', { timeout: LIMIT_MS }, async (t) => {
  const simulator = await simulate(t, { quota: QUOTA, headers: 'none', latencyMs: { min: 5, max: 15 } })
  const sender = await open(t, simulator, { rateLimit: { learn: true, readLimits: true, ceiling: { requests: 50, perMs: 1_000 } } })
  await until(() => sender.stats().quota.windows[0].why !== 'start')
  // 50 a second, as the organisation's limits have it: by the minute.
  assert.deepEqual(sender.stats().quota.windows, [{ requests: 3_000, perMs: 60_000, why: 'limits', share: null }])
  await sendAll(sender, 120)
  const { arrivals, accepted, refused, tokenRequests } = simulator.ledger()
  assert.deepEqual({ accepted, refused, tokenRequests }, { accepted: 121, refused: 0, tokenRequests: 1 })
  assert.equal(arrivals, 121, 'it is asked once')
  assert.equal(sender.stats().counters.deadLetters, 0)
})

test('limits that nobody may read hold nothing up', { concurrency: true, timeout: LIMIT_MS }, async (t) => {
  const answers = {
    'no right': (response) => response.writeHead(403).end('{}'),
    'no route': (response) => response.writeHead(404).end(),
    'garbage': (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"entities":[{"key":'),
    'no answer': () => {},
    'a cut': (response) => response.destroy(),
  }
  await Promise.all(Object.entries(answers).map(([name, answer]) => t.test(name, async (t) => {
    const paths = []
    const { url } = await serve(t, (request, response) => {
      paths.push(`${request.method} ${request.url}`)
      if (request.method === 'GET') return answer(response)
      request.resume().on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'))
    })
    const sender = await open(t, url, { credentials: { accessToken: 'token' }, rateLimit: { learn: true, readLimits: true } })
    const startedAt = performance.now()
    await sendAll(sender, 5)
    const took = performance.now() - startedAt
    assert.ok(took < 6_000, `messages waited ${took} ms`)
    assert.equal(paths[0], 'GET /api/v2/organizations/limits/namespaces/platform.api')
    assert.equal(paths.filter((path) => path.startsWith('GET')).length, 1, 'asked once, whatever comes of it')
    assert.equal(sender.stats().quota.windows[0].why, 'start')
    assert.equal(sender.stats().counters.deadLetters, 0)
  })))
})
