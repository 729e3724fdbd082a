'use strict'

// `rateLimit: 'learn'` over real HTTP: a smoke of each family of headers and of none; the figures are in
// crates/core/tests/limits.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setTimeout: delay } = require('node:timers/promises')
const { Worker } = require('node:worker_threads')

const { answerJson, event, message, open, serve, simulate, until } = require('./support.js')

const LIMIT_MS = 60_000
const QUOTA = { requests: 50, perMs: 1_000 }

const sendAll = (sender, count) => Promise.all(Array.from({ length: count }, (_, index) => sender.send(message(`m${index}`, `c${index}`))))

test('each family', { concurrency: true, timeout: LIMIT_MS }, async (t) => {
  const runs = []
  for (const headers of ['x', 'inin', 'ietf', 'ietf-legacy', 'none']) {
    runs.push(
      t.test(headers, async (t) => {
        const simulator = await simulate(t, { quota: QUOTA, headers, retryAfter: 'zero', latencyMs: { min: 5, max: 15 } })
        const sender = await open(t, simulator, { rateLimit: 'learn' })
        const events = []
        sender.on('quota', (quota) => events.push(quota))
        assert.deepEqual(sender.stats().quota.windows, [{ requests: 300, perMs: 60_000, why: 'start', share: null }])
        await sendAll(sender, 200)

        const { accepted, refused, duplicates } = simulator.ledger()
        assert.deepEqual({ accepted, duplicates }, { accepted: 200, duplicates: 0 })
        const {
          windows: [window],
          source,
          sinceMs,
        } = sender.stats().quota
        assert.equal(source, 'learned')
        assert.equal(window.why, headers === 'none' ? 'refusals' : 'headers')
        assert.equal(window.perMs, 1_000)
        assert.ok(Math.abs(sinceMs - Date.now()) < LIMIT_MS)
        assert.equal(events[0]?.source, 'learned')
        if (headers === 'none') assert.ok(refused < 60, `${refused} refused`)
        else assert.deepEqual([window.requests, events[0].windows[0].why], [50, 'headers'])
      }),
    )
  }
  await Promise.all(runs)
})

/** Eight worker threads with a sender each, of one organization; each sends `count` messages. Gives what each believes at its end. */
function sendFromEightThreads(options, count) {
  return Promise.all(
    Array.from(
      { length: 8 },
      (_, index) =>
        new Promise((resolve, reject) => {
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
        }),
    ),
  )
}

test('eight worker threads learn as one', { timeout: LIMIT_MS }, async (t) => {
  // The longer answers take, the longer a slot rests, and the later a request may arrive.
  const simulator = await simulate(t, { quota: QUOTA, headers: 'x', latencyMs: { min: 50, max: 250 } })
  const believed = await sendFromEightThreads({ organization: 'learn-8', apiUrl: simulator.url, rateLimit: 'learn' }, 20)
  for (const windows of believed) assert.deepEqual(windows[0].requests, 50)
  const { accepted, refused, mostInWindow } = simulator.ledger()
  assert.equal(accepted, 160)
  assert.ok(refused <= 2 && mostInWindow <= 2 * QUOTA.requests, `${refused} refused, ${mostInWindow} in a window`)
})

const OF_TOKEN = { limit: { key: 'client.credentials.token.rate.per.minute', namespace: 'platform.api' } }

// Once the first is answered, `leave` come at once, and `refuse` of them are refused. One 429 alone has to say whose limit it is.
const PAUSES = [
  { name: 'a known quota, one 429', rateLimit: { requests: 100, perMs: 1_000 }, leave: 99, refuse: 1, body: OF_TOKEN },
  {
    name: 'a quota that is learned from refusals',
    rateLimit: { learn: true, start: { requests: 200, perMs: 1_000 } },
    leave: 199,
    // So about 50 a second are left to believe in.
    refuse: 150,
    body: {},
  },
]

test('eight worker threads after a pause: one probe, then a ramp', { concurrency: true, timeout: LIMIT_MS }, async (t) => {
  const runs = PAUSES.map(({ name, rateLimit, leave, refuse, body }, index) =>
    t.test(name, async (t) => {
      const arrivedAt = []
      let held = []
      let accepted = 0
      const accept = (response) => {
        accepted += 1
        answerJson(response, 200, {})
      }
      const { url } = await serve(t, (request, response) => {
        request.resume()
        arrivedAt.push(performance.now())
        if (held === null || arrivedAt.length === 1) accept(response)
        else held.push(response)
      })
      const options = {
        organization: `ramp-8-${index}`,
        apiUrl: url,
        loginUrl: undefined,
        credentials: { accessToken: 'token' },
        rateLimit,
        connections: { max: 256, requestTimeoutMs: 60_000 },
      }
      const observer = await open(t, url, options)
      const ends = sendFromEightThreads(options, 30)
      await until(() => held.length >= leave)
      const throttled = event(observer, 'throttled')
      for (const response of held.splice(0, refuse)) answerJson(response, 429, body, { 'retry-after': '2' })
      await throttled
      // What was on the wire when the pause began has arrived.
      await until(() => observer.stats().queue.inFlight === held.length)
      for (const response of held.splice(0)) accept(response)
      const before = arrivedAt.length

      await until(() => held.length > 0)
      assert.deepEqual(observer.stats().pause, { reason: 'retry-after', untilMs: null, remainingMs: null, nextProbeMs: null })
      await delay(300)
      assert.equal(held.length, 1, 'nothing leaves beside the probe')
      const [probe] = held
      held = null
      const probedAt = performance.now()
      accept(probe)
      await until(() => arrivedAt.length > before + 20)
      const rampMs = arrivedAt[before + 20] - probedAt
      // At least an even 50 in a quarter of a second.
      assert.ok(rampMs >= 50, `20 requests within ${rampMs} ms`)
      await ends
      assert.equal(accepted, 240)
    }),
  )
  await Promise.all(runs)
})

/** Headers for a window with `left` requests left and a reset in `seconds`, but no limit. */
const UNNAMED = {
  'RateLimit without a policy': (left, seconds) => ({ ratelimit: `"b";r=${left};t=${seconds}` }),
  'X-RateLimit-Remaining without a limit': (left, seconds) => ({ 'x-ratelimit-remaining': left, 'x-ratelimit-reset': seconds }),
  'a window without a policy in a list': (left, seconds, used) => ({
    'ratelimit-policy': '"day";q=9000;w=86400',
    ratelimit: `"day";r=${9_000 - used};t=80000, "b";r=${left};t=${seconds}`,
  }),
}

test('a window that has nothing left is waited for, though nobody names its limit', { concurrency: true, timeout: LIMIT_MS }, async (t) => {
  const runs = Object.entries(UNNAMED).map(([name, headersOf]) =>
    t.test(name, async (t) => {
      const [perWindow, windowMs] = [4, 2_000]
      const seen = { windows: 0, refused: 0 }
      let requests = 0
      let [endsAt, left] = [0, 0]
      const { url } = await serve(t, (request, response) => {
        request.resume()
        const now = performance.now()
        if (now >= endsAt) {
          seen.windows += 1
          ;[endsAt, left] = [now + windowMs, perWindow]
        }
        requests += 1
        const isRefused = left === 0
        if (isRefused) seen.refused += 1
        else left -= 1
        const headers = headersOf(left, Math.ceil((endsAt - now) / 1_000), requests)
        request.on('end', () => answerJson(response, isRefused ? 429 : 200, {}, headers))
      })
      const sender = await open(t, url, { credentials: { accessToken: 'token' }, rateLimit: 'learn', connections: { max: 1 } })
      await sendAll(sender, 2 * perWindow + 1)
      assert.deepEqual(seen, { windows: 3, refused: 0 })
    }),
  )
  await Promise.all(runs)
})

test('the limits of the organization are a first belief', { timeout: LIMIT_MS }, async (t) => {
  const simulator = await simulate(t, { quota: QUOTA, headers: 'none', latencyMs: { min: 5, max: 15 } })
  const sender = await open(t, simulator, { rateLimit: { learn: true, readLimits: true, ceiling: { requests: 50, perMs: 1_000 } } })
  await until(() => sender.stats().quota.windows[0].why !== 'start')
  // 50 a second, as the organization's limits have it: by the minute.
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
    garbage: (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"entities":[{"key":'),
    'no answer': () => {},
    'a cut': (response) => response.destroy(),
  }
  await Promise.all(
    Object.entries(answers).map(([name, answer]) =>
      t.test(name, async (t) => {
        const paths = []
        const { url } = await serve(t, (request, response) => {
          paths.push(`${request.method} ${request.url}`)
          if (request.method === 'GET') return answer(response)
          request.resume().on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'))
        })
        const sender = await open(t, url, {
          credentials: { accessToken: 'token' },
          rateLimit: { learn: true, readLimits: true },
          connections: { requestTimeoutMs: 600_000 },
        })
        const startedAt = performance.now()
        // They would wait as long as a request may take, if the question had no time of its own.
        await sendAll(sender, 5)
        const took = performance.now() - startedAt
        assert.ok(took < 6_000, `messages waited ${took} ms`)
        assert.equal(paths[0], 'GET /api/v2/organizations/limits/namespaces/platform.api')
        assert.equal(paths.filter((path) => path.startsWith('GET')).length, 1, 'asked once, whatever comes of it')
        assert.equal(sender.stats().quota.windows[0].why, 'start')
        assert.equal(sender.stats().counters.deadLetters, 0)
      }),
    ),
  )
})
