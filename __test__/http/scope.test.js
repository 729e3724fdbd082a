'use strict'

// Whom a failure concerns: one endpoint that fails, and one request that is refused, leave everything else alone.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { answerJson, failure, ignore, message, open, serve, until } = require('./support.js')

const LIMIT_MS = 120_000
const credentials = { accessToken: 'token' }
const route = { path: '/m/{conversationId}' }

/** A server whose `answers` decide by the path; 200 otherwise. What arrived, by path. */
async function serveBy(t, answers) {
  const arrived = new Map()
  const { url } = await serve(t, (request, response) => {
    request.resume()
    arrived.set(request.url, (arrived.get(request.url) ?? 0) + 1)
    const answer = Object.entries(answers).find(([prefix]) => request.url.startsWith(prefix))?.[1] ?? 200
    if (typeof answer === 'function') answer(response)
    else answerJson(response, answer, {})
  })
  return { url, arrived }
}

test('an endpoint that answers 502 stops itself alone, and is listed', { timeout: LIMIT_MS }, async (t) => {
  const { url, arrived } = await serveBy(t, { '/analytics': 502 })
  const sender = await open(t, url, { credentials, route })
  const outages = []
  sender.on('outage', (outage) => outages.push(outage))
  const polls = Array.from({ length: 20 }, (_, index) =>
    ignore(sender.request({ method: 'GET', path: `/analytics/queues/${index}?secret=${index}` })),
  )
  await until(() => sender.stats().outages.length > 0)
  const [shut, ...others] = sender.stats().outages
  assert.deepEqual([shut.route, shut.reason, others], ['GET /analytics/queues/{}', 'breaker', []])
  const receipts = await Promise.all(Array.from({ length: 60 }, (_, index) => sender.send(message(`m${index}`))))
  assert.ok(receipts.every(({ attempts }) => attempts === 1))
  assert.equal((await sender.request({ method: 'GET', path: '/users/me' })).status, 200)
  assert.deepEqual([outages, sender.stats().outage], [[], null])
  assert.equal(arrived.get('/users/me'), 1)
  assert.equal(polls.length, 20)
})

test('a call that hangs as the probe does not hold messages back', { timeout: LIMIT_MS }, async (t) => {
  let throttles = true
  const held = []
  const { url, arrived } = await serveBy(t, {
    '/hangs': (response) => {
      if (!throttles) return held.push(response)
      throttles = false
      answerJson(response, 429, {}, { 'retry-after': '1' })
    },
  })
  const sender = await open(t, url, { credentials, route })
  const hanging = ignore(sender.request({ method: 'GET', path: '/hangs', timeoutMs: 600_000 }))
  await until(() => held.length > 0)
  const receipts = await Promise.all(['a', 'b', 'c'].map((id) => sender.send(message(id))))
  assert.equal(receipts.length, 3)
  assert.equal(arrived.get('/hangs'), 2, 'the probe is still out')
  answerJson(held[0], 200, {})
  assert.equal((await hanging).status, 200)
})

test('a call that is refused alone gets its 401, and others go on', { timeout: LIMIT_MS }, async (t) => {
  const { url } = await serveBy(t, { '/bad': 401 })
  const sender = await open(t, url, { credentials, route })
  const good = { method: 'GET', path: '/good' }
  await sender.request(good)
  for (let round = 0; round < 3; round += 1) {
    const error = await failure(sender.request({ method: 'GET', path: '/bad' }))
    assert.deepEqual([error.code, error.status], ['DELIVERY_REJECTED', 401])
    assert.equal((await sender.request(good)).status, 200)
  }
  const refused = Array.from({ length: 3 }, () => failure(sender.request({ method: 'GET', path: '/bad' })))
  const receipts = await Promise.all(Array.from({ length: 100 }, (_, index) => sender.send(message(`m${index}`))))
  assert.equal(receipts.length, 100)
  assert.deepEqual(
    (await Promise.all(refused)).map(({ status }) => status),
    [401, 401, 401],
  )
  assert.equal(sender.stats().outage, null)
})

test('several endpoints that refuse every token are refused alone, and others go on', { timeout: LIMIT_MS }, async (t) => {
  const held = []
  let isHeld = true
  const hold = (response) => (isHeld ? held.push(response) : answerJson(response, 401, {}))
  const { url } = await serveBy(t, { '/bad': hold })
  let tokens = 0
  const credentials = { accessToken: async () => `token-${++tokens}` }
  const sender = await open(t, url, { credentials, route, connections: { max: 3 } })
  await sender.request({ method: 'GET', path: '/good' })
  const refused = ['/bad/a', '/bad/b', '/bad/c'].map((path) => failure(sender.request({ method: 'GET', path })))
  // They have all connections: what waits behind them can tell, but has not.
  const sends = Array.from({ length: 275 }, (_, index) => sender.send(message(`m${index}`, `c${index % 50}`)))
  for (const answers of [3, 3]) {
    await until(() => held.length === answers)
    for (const response of held.splice(0)) answerJson(response, 401, {})
  }
  isHeld = false
  assert.deepEqual(
    (await Promise.all(refused)).map(({ code, status }) => [code, status]),
    Array.from({ length: 3 }, () => ['DELIVERY_REJECTED', 401]),
  )
  assert.equal((await Promise.all(sends)).length, 275)
  assert.equal(sender.stats().outage, null)
})

test('a conversation that is refused alone becomes a dead letter, and others go on', { timeout: LIMIT_MS }, async (t) => {
  const { url } = await serveBy(t, { '/m/poison': 401 })
  let tokens = 0
  const sender = await open(t, url, { credentials: { accessToken: () => `token-${++tokens}` }, route })
  await sender.enqueue(message('poison', 'poison'))
  await until(() => sender.stats().outage !== null)
  const receipts = await Promise.all(Array.from({ length: 20 }, (_, index) => sender.send(message(`m${index}`))))
  assert.equal(receipts.length, 20, 'no promise is refused on the evidence of another message')
  await until(() => sender.stats().queue.deadLetters === 1)
  for await (const letter of sender.deadLetters()) {
    assert.deepEqual([letter.id, letter.reason, letter.status ?? letter.response?.status], ['poison', 'rejected', 401])
  }
  assert.deepEqual([sender.stats().outage, sender.stats().queue.messages], [null, 0])
})
