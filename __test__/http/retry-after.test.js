'use strict'

// One 429 of the token's limit stops everyone: nothing leaves before the pause ends, then a single probe, then the rest.
// In all forms of Retry-After that servers and gateways have been seen to send.

const assert = require('node:assert/strict')
const { mkdtempSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { performance } = require('node:perf_hooks')
const { test } = require('node:test')

const { answerJson, event, ignore, message, open, serve, simulate, until } = require('./support.js')

const credentials = { accessToken: 'token' }
const DAY_MS = 86_400_000
/** The shortest pause while a server names no time, and the longest first one. */
const BACKOFF_MIN_MS = 100
const BACKOFF_MAX_MS = 250
/** Two clocks are read, each in its own grain. */
const GRAIN_MS = 2
/** How long a 200 takes: time enough to see who comes while the probe is out. */
const ANSWER_MS = 50
const LIMIT_MS = 60_000
/** It is everybody's: limited.test.js has those of which that isn't said. */
const OF_TOKEN = { limit: { key: 'client.credentials.token.rate.per.minute', namespace: 'platform.api' } }

const inSeconds = (seconds) => new Date(Date.now() + seconds * 1_000).toUTCString()

/**
 * A server that answers the first `refusals` requests with 429 and `headers()`, and the others with 200. Keeps of each
 * request when it came, how many were open then, and how many had been answered before.
 */
async function refusing(t, { refusals = 1, headers = () => ({}), body = OF_TOKEN } = {}) {
  const requests = []
  let answered = 0
  const { url } = await serve(t, (request, response) => {
    request.resume()
    const number = requests.length
    requests.push({ at: performance.now(), answeredBefore: answered, answeredAt: null })
    const answer = (status, ...more) => {
      answered += 1
      requests[number].answeredAt = performance.now()
      answerJson(response, status, ...more)
    }
    if (number < refusals) answer(429, body, headers())
    else setTimeout(answer, ANSWER_MS, 200, {})
  })
  return { url, requests }
}

const RESET = { 'x-ratelimit-limit': '10', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1' }

/** The eight forms: what a 429 says, how long the pause then is at least, and why. */
const FORMS = [
  ['right', () => '1', 1_000, 'retry-after'],
  ['zero', () => '0', null],
  // A date has whole seconds: of two to come at least one is left.
  ['date', () => inSeconds(2), 1_000, 'retry-after'],
  ['past', () => inSeconds(-3_600), null],
  ['negative', () => '-5', null],
  ['garbage', () => 'soon', null],
  ['missing', () => undefined, null],
]

for (const withHeaders of [true, false]) {
  test(`after one 429, ${withHeaders ? 'with' : 'without'} X-RateLimit headers`, { concurrency: true, timeout: LIMIT_MS }, async (t) => {
    await Promise.all(
      FORMS.map(([name, value, knownMs, knownReason]) =>
        t.test(name, async (t) => {
          const [pauseMinMs, reason] =
            knownMs !== null ? [knownMs, knownReason] : withHeaders ? [1_000, 'reset'] : [BACKOFF_MIN_MS, 'backoff']
          const { url, requests } = await refusing(t, {
            headers: () => ({ ...(value() === undefined ? {} : { 'retry-after': value() }), ...(withHeaders ? RESET : {}) }),
          })
          const sender = await open(t, url, { credentials })
          const throttled = event(sender, 'throttled')
          const resumed = event(sender, 'resumed')
          const sends = [sender.send(message('first'))]
          const pause = await throttled
          assert.deepEqual([pause.reason, pause.long], [reason, false])
          assert.ok(pause.pauseMs >= pauseMinMs, `pauseMs ${pause.pauseMs}`)
          if (reason === 'backoff') assert.ok(pause.pauseMs <= BACKOFF_MAX_MS, `pauseMs ${pause.pauseMs}`)
          assert.ok(Math.abs(pause.untilMs - Date.now() - pause.pauseMs) < LIMIT_MS)

          for (let index = 0; index < 20; index += 1) sends.push(sender.send(message(`m${index}`)))
          const receipts = await Promise.all(sends)
          assert.ok(
            receipts.every(({ attempts }) => attempts === 1),
            'no attempt is spent',
          )

          const [refused, probe, next] = requests
          assert.ok(probe.at - refused.answeredAt >= pause.pauseMs - GRAIN_MS, `probe after ${probe.at - refused.answeredAt} ms`)
          assert.equal(next.answeredBefore, 2, 'the others wait for the answer to the probe')
          assert.equal(requests.length, 22)
          const { pausedMs } = await resumed
          assert.ok(pausedMs >= pause.pauseMs, `pausedMs ${pausedMs}, pauseMs ${pause.pauseMs}`)
          const { throttled: count, delivered } = sender.stats().counters
          assert.deepEqual({ count, delivered }, { count: 1, delivered: 21 })
          assert.equal(sender.stats().pause, null)
        }),
      ),
    )
  })
}

for (const withHeaders of [true, false]) {
  test(`absurd, ${withHeaders ? 'with' : 'without'} headers: a day, said aloud`, async (t) => {
    const simulator = await simulate(t, {
      script: [{ request: 1, status: 429, body: JSON.stringify(OF_TOKEN) }],
      retryAfter: 'absurd',
      headers: withHeaders ? 'x' : 'none',
    })
    const sender = await open(t, simulator)
    const throttled = event(sender, 'throttled')
    for (const id of ['a', 'b', 'c']) void ignore(sender.send(message(id)))
    const pause = await throttled
    assert.deepEqual([pause.reason, pause.pauseMs, pause.long], ['retry-after', DAY_MS, true])
    await until(() => sender.stats().queue.inFlight === 0)
    const { reason, untilMs, remainingMs } = sender.stats().pause
    assert.equal(reason, 'retry-after')
    assert.ok(remainingMs <= DAY_MS && remainingMs > DAY_MS - LIMIT_MS, `remainingMs ${remainingMs}`)
    assert.ok(Math.abs(untilMs - Date.now() - DAY_MS) < LIMIT_MS, `untilMs ${untilMs}`)
    const late = ignore(sender.send(message('later')))
    const explained = await sender.explain('later')
    assert.deepEqual(
      explained.reasons.map(({ kind }) => kind),
      ['pause'],
    )
    assert.ok(explained.expectedInMs > DAY_MS - LIMIT_MS, `expectedInMs ${explained.expectedInMs}`)
    const { arrivals } = simulator.ledger()
    const { undelivered } = await sender.close({ timeoutMs: 0 })
    assert.ok(undelivered >= 2, `undelivered ${undelivered}`)
    assert.equal(simulator.ledger().arrivals, arrivals)
    await assert.rejects(late, { code: 'CLOSED' })
  })
}

test('a wait longer than maxPauseMs is reported as long and probed after maxPauseMs', async (t) => {
  const { url, requests } = await refusing(t, { headers: () => ({ 'retry-after': '99999999' }) })
  const sender = await open(t, url, { credentials, retry: { maxPauseMs: 1_000 } })
  const throttled = event(sender, 'throttled')
  const sent = sender.send(message('m'))
  const { long, pauseMs, untilMs } = await throttled
  assert.deepEqual([long, pauseMs], [true, DAY_MS], 'no wait is longer than a day')
  const { pause } = sender.stats()
  assert.ok(Math.abs(pause.untilMs - untilMs) <= 1, 'what was asked for')
  assert.ok(Math.abs(pause.untilMs - pause.nextProbeMs - (DAY_MS - 1_000)) <= 1, 'and the next probe')
  const { reasons } = await sender.explain('m')
  const reason = reasons.find(({ kind }) => kind === 'pause')
  // Both are moments of the engine's clock, as milliseconds of the wall clock.
  assert.ok(Math.abs(reason.untilMs - pause.untilMs) <= 1 && Math.abs(reason.nextProbeMs - pause.nextProbeMs) <= 1)
  await sent
  assert.ok(requests[1].at - requests[0].answeredAt >= 1_000 - GRAIN_MS)
  assert.equal(sender.stats().pause, null)
})

test('a long wait is probed after a restart, too', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-wait-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  let limited = true
  const { url } = await serve(t, (request, response) => {
    request.resume()
    answerJson(response, limited ? 429 : 200, {}, limited ? { 'retry-after': '99999999' } : {})
  })
  const options = { organization: 'restarted', credentials, store: `file:${join(folder, 'outbox.db')}`, retry: { maxPauseMs: 1_000 } }
  const first = await open(t, url, options)
  const throttled = event(first, 'throttled')
  await first.enqueue(message('m'))
  await throttled
  await first.close({ timeoutMs: 0 })
  limited = false
  const second = await open(t, url, options)
  await second.drain({ timeoutMs: LIMIT_MS })
  assert.equal(second.stats().counters.delivered, 1)
})

test('the seconds in the text of a 429, where nothing better is said', async (t) => {
  const body = {
    message: 'Rate limit exceeded the maximum. Retry the request in [1] seconds',
    code: 'too.many.requests.retry.after',
    status: 429,
  }
  const { url, requests } = await refusing(t, { body, headers: () => ({ 'retry-after': '0' }) })
  const sender = await open(t, url, { credentials })
  const throttled = event(sender, 'throttled')
  await sender.send(message('m'))
  const { reason, pauseMs } = await throttled
  assert.deepEqual([reason, pauseMs], ['text', 1_000])
  assert.ok(requests[1].at - requests[0].answeredAt >= 1_000 - GRAIN_MS)
})

test('reset headers of every family', { concurrency: true, timeout: LIMIT_MS }, async (t) => {
  const families = [
    { 'x-ratelimit-reset': '1' },
    { 'x-ratelimit-reset': () => String(Math.ceil(Date.now() / 1_000) + 1) },
    { 'inin-ratelimit-reset': '1' },
    { 'ratelimit-reset': '1' },
    { ratelimit: '"default";r=0;t=1' },
    { ratelimit: 'limit=100, remaining=0, reset=1' },
  ]
  await Promise.all(
    families.map((family) =>
      t.test(Object.entries(family).flat().map(String).join(': '), async (t) => {
        const headers = () =>
          Object.fromEntries(Object.entries(family).map(([name, value]) => [name, typeof value === 'function' ? value() : value]))
        const { url } = await refusing(t, { headers })
        const sender = await open(t, url, { credentials })
        const throttled = event(sender, 'throttled')
        await sender.send(message('m'))
        const { reason, pauseMs } = await throttled
        assert.equal(reason, 'reset')
        assert.ok(pauseMs > 0 && pauseMs <= 2_000, `pauseMs ${pauseMs}`)
      }),
    ),
  )
})

test('a request under way when the pause begins neither ends nor shortens it', async (t) => {
  // Two are on the wire: one is refused for three seconds, then the other for one.
  const requests = []
  const { url } = await serve(t, (request, response) => {
    request.resume()
    requests.push(performance.now())
    const number = requests.length
    if (number > 2) return answerJson(response, 200, {})
    // Both are held until both are here.
    if (number === 1) return (requests.first = response)
    requests.refusedAt = performance.now()
    requests.second = response
    answerJson(requests.first, 429, OF_TOKEN, { 'retry-after': '3' })
  })
  const sender = await open(t, url, { credentials })
  const pauses = []
  sender.on('throttled', (pause) => {
    pauses.push(pause)
    if (pauses.length === 1) answerJson(requests.second, 429, OF_TOKEN, { 'retry-after': '1' })
  })
  await Promise.all([sender.send(message('a')), sender.send(message('b'))])
  assert.ok(requests[2] - requests.refusedAt >= 3_000 - GRAIN_MS, `probe after ${requests[2] - requests.refusedAt} ms`)
  assert.deepEqual(
    pauses.map(({ pauseMs }) => pauseMs),
    [3_000],
  )
  assert.equal(requests.length, 4)
})

test('a probe that is refused begins the next pause, longer than the last one can be', async (t) => {
  const { url, requests } = await refusing(t, { refusals: 4 })
  const sender = await open(t, url, { credentials })
  const pauses = []
  sender.on('throttled', ({ pauseMs }) => pauses.push(pauseMs))
  await Promise.all(Array.from({ length: 10 }, (_, index) => sender.send(message(`m${index}`, 'one conversation'))))
  assert.equal(requests.length, 14)
  assert.equal(pauses.length, 4)
  pauses.forEach((pauseMs, index) => {
    assert.ok(pauseMs >= BACKOFF_MIN_MS && pauseMs <= BACKOFF_MAX_MS * 2 ** index, `pauses ${pauses}`)
    const gap = requests[index + 1].at - requests[index].answeredAt
    assert.ok(gap >= pauseMs - GRAIN_MS, `gap ${gap}, pause ${pauseMs}`)
  })
})

// The table of what other clients do, with what we do: the wait before the second request to a server that always says 429.
test('a server that always says 429', { concurrency: true, timeout: LIMIT_MS }, async (t) => {
  const rows = [
    ['2', () => '2', 2_000, 2_000],
    ['0', () => '0', BACKOFF_MIN_MS, BACKOFF_MAX_MS],
    // Whole seconds by two readings of the server's clock.
    ['date +3 s', () => inSeconds(3), 2_000, 4_000],
    ['past date', () => inSeconds(-3_600), BACKOFF_MIN_MS, BACKOFF_MAX_MS],
    ['60', () => '60', 60_000, 60_000],
    ['99999999999', () => '99999999999', DAY_MS, DAY_MS],
    ['-5', () => '-5', BACKOFF_MIN_MS, BACKOFF_MAX_MS],
    ['garbage', () => 'soon', BACKOFF_MIN_MS, BACKOFF_MAX_MS],
  ]
  await Promise.all(
    rows.map(([name, value, minMs, maxMs]) =>
      t.test(name, async (t) => {
        const { url, requests } = await refusing(t, { refusals: Infinity, headers: () => ({ 'retry-after': value() }) })
        const sender = await open(t, url, { credentials })
        const throttled = event(sender, 'throttled')
        for (let index = 0; index < 10; index += 1) ignore(sender.send(message(`m${index}`, 'one conversation')))
        const { pauseMs } = await throttled
        assert.ok(pauseMs >= minMs && pauseMs <= maxMs, `pauseMs ${pauseMs}`)
        if (maxMs > 10_000) {
          assert.equal(requests.length, 1)
          return
        }
        await until(() => requests.length >= 2)
        const gap = requests[1].at - requests[0].answeredAt
        assert.ok(gap >= minMs - GRAIN_MS, `second request after ${gap} ms`)
        if (maxMs > BACKOFF_MAX_MS) return
        // No flood, however long it lasts: no two are nearer than the shortest pause.
        await until(() => requests.length >= 5)
        for (let index = 1; index < requests.length; index += 1) {
          assert.ok(requests[index].at - requests[index - 1].answeredAt >= BACKOFF_MIN_MS - GRAIN_MS)
        }
      }),
    ),
  )
})

// A server that allows a tenth of what we were told, in all forms: slow, but nothing is lost, and nothing out of order.
test('a quota that is lower than we think', { concurrency: true, timeout: LIMIT_MS }, async (t) => {
  const forms = ['right', 'zero', 'date', 'past', 'negative', 'garbage', 'missing']
  const runs = forms.flatMap((retryAfter) => ['x', 'inin', 'ietf', 'none'].map((headers) => [retryAfter, headers]))
  await Promise.all(
    runs.map(([retryAfter, headers]) =>
      t.test(`${retryAfter}, headers ${headers}`, async (t) => {
        const simulator = await simulate(t, { quota: { requests: 20, perMs: 1_000 }, retryAfter, headers, latencyMs: { min: 0, max: 20 } })
        const sender = await open(t, simulator, { rateLimit: { requests: 200, perMs: 1_000 } })
        const sends = Array.from({ length: 60 }, (_, seq) =>
          sender.send({
            id: `m${seq}`,
            conversationId: `c${seq % 12}`,
            body: { id: `m${seq}`, seq },
          }),
        )
        await Promise.all(sends)
        const { uniqueIds, duplicates, orderViolations, maxInFlightPerConversation, refused } = simulator.ledger()
        assert.deepEqual(
          { uniqueIds, duplicates, orderViolations, maxInFlightPerConversation },
          { uniqueIds: 60, duplicates: 0, orderViolations: 0, maxInFlightPerConversation: 1 },
        )
        assert.ok(refused > 0, 'the limit was in force')
      }),
    ),
  )
})
