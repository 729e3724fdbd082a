'use strict'

// The budget holds at the server: never more than N arrivals in any rolling window, however long requests are under way.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { answerJson, message, open, serve, simulate, until } = require('./support.js')

const LATENCY = { min: 0, max: 200 }
const LIMIT_MS = 120_000
/** Two clocks are read, each in its own grain. */
const GRAIN_MS = 2

/** N, its window, and how many messages: some windows' worth. */
const QUOTAS = [
  { requests: 1, perMs: 50, messages: 15 },
  { requests: 7, perMs: 100, messages: 70 },
  { requests: 100, perMs: 250, messages: 800 },
  { requests: 1_000, perMs: 500, messages: 4_000 },
]

async function sendAll(sender, count, conversations) {
  const sends = Array.from({ length: count }, (_, index) => sender.send(message(`m${index}`, `c${index % conversations}`)))
  await Promise.all(sends)
}

test('one window', { concurrency: true, timeout: LIMIT_MS }, async (t) => {
  const runs = []
  for (const algorithm of ['fixed-window', 'sliding-log', 'token-bucket']) {
    for (const { requests, perMs, messages } of QUOTAS) {
      runs.push(
        t.test(`${algorithm}, ${requests} per ${perMs} ms`, async (t) => {
          const simulator = await simulate(t, { quota: { requests, perMs, algorithm }, latencyMs: LATENCY })
          const sender = await open(t, simulator, { rateLimit: { requests, perMs }, connections: { max: 1_024 } })
          await sendAll(sender, messages, messages)
          const { mostInWindow, refused, accepted, windowMs } = simulator.ledger()
          assert.deepEqual({ refused, accepted, windowMs }, { refused: 0, accepted: messages, windowMs: perMs })
          assert.ok(mostInWindow <= requests, `mostInWindow ${mostInWindow}`)
          assert.equal(sender.stats().counters.throttled, 0)
        }),
      )
    }
  }
  await Promise.all(runs)
})

test('the quota is used: all of it leaves at once, and again when its window is over', { timeout: LIMIT_MS }, async (t) => {
  const held = []
  const { url } = await serve(t, (request, response) => {
    request.resume()
    held.push(response)
  })
  const sender = await open(t, url, {
    credentials: { accessToken: 'token' },
    rateLimit: { requests: 100, perMs: 200 },
    connections: { max: 200 },
  })
  const sends = sendAll(sender, 300, 300)
  let answeredAt = -Infinity
  for (let window = 0; window < 3; window += 1) {
    await until(() => held.length > 0)
    assert.ok(performance.now() - answeredAt >= 200 - GRAIN_MS, `the next after ${performance.now() - answeredAt} ms`)
    await until(() => held.length >= 100)
    assert.equal(held.length, 100)
    assert.deepEqual(sender.stats().budget, { available: 0, nextInMs: null })
    answeredAt = performance.now()
    for (const response of held.splice(0)) answerJson(response, 200, {})
  }
  await sends
})

test('without latency the quota is held', { timeout: LIMIT_MS }, async (t) => {
  const quota = { requests: 100, perMs: 200 }
  const simulator = await simulate(t, { quota: { ...quota, algorithm: 'sliding-log' } })
  const sender = await open(t, simulator, { rateLimit: quota })
  await sendAll(sender, 1_000, 1_000)
  const { mostInWindow, refused, accepted } = simulator.ledger()
  assert.deepEqual({ refused, accepted }, { refused: 0, accepted: 1_000 })
  assert.ok(mostInWindow <= 100, `mostInWindow ${mostInWindow}`)
})

test('two windows hold together', { concurrency: true, timeout: LIMIT_MS }, async (t) => {
  const short = { requests: 20, perMs: 100 }
  const long = { requests: 60, perMs: 800 }
  // The ledger counts in the first quota's window; the sliding logs refuse whatever is too much for either.
  await Promise.all(
    [
      [short, long],
      [long, short],
    ].map((quotas) =>
      t.test(`counted by ${quotas[0].requests} per ${quotas[0].perMs} ms`, async (t) => {
        const algorithm = 'sliding-log'
        const simulator = await simulate(t, { quota: quotas.map((quota) => ({ ...quota, algorithm })), latencyMs: LATENCY })
        const sender = await open(t, simulator, { rateLimit: quotas })
        await sendAll(sender, 240, 240)
        const { mostInWindow, refused, accepted } = simulator.ledger()
        assert.deepEqual({ refused, accepted }, { refused: 0, accepted: 240 })
        assert.ok(mostInWindow <= quotas[0].requests, `mostInWindow ${mostInWindow}`)
      }),
    ),
  )
})

test('requests that fail or are cut spend their slots, too', { timeout: LIMIT_MS }, async (t) => {
  const quota = { requests: 20, perMs: 100 }
  const simulator = await simulate(t, {
    quota: { ...quota, algorithm: 'sliding-log' },
    latencyMs: { min: 0, max: 50 },
    faults: { status503: 0.05, cutAfter: 0.05, cutBefore: 0.05, slow: 0.05, slowMs: 600_000 },
  })
  // What is given up may arrive a second later, no more; and no message is given up.
  const connections = { requestTimeoutMs: 1_000 }
  const sender = await open(t, simulator, { rateLimit: quota, connections, retry: { maxAttempts: 100 } })
  await sendAll(sender, 200, 200)
  const { mostInWindow, refused, uniqueIds } = simulator.ledger()
  assert.deepEqual({ refused, uniqueIds }, { refused: 0, uniqueIds: 200 })
  assert.ok(mostInWindow <= 20, `mostInWindow ${mostInWindow}`)
})
