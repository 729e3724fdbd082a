'use strict'

// What a server refuses, perhaps for everybody's sake: several conversations make an outage of it, one alone is shown and tried again.

const assert = require('node:assert/strict')
const { describe, it, test } = require('node:test')

const { answerJson, event, failure, message, open, serve, simulate, until } = require('./support.js')

const LIMIT_MS = 60_000
const CONVERSATIONS = 12
const FRAGMENT = '<h1>Sign in</h1>'
const ARRAYS = { route: 'messaging-array', batch: { mode: 'array', maxMessages: 10, lingerMs: 0 } }

/** Sends one message per conversation to a server in this state. Restores the server when the outage event arrives. */
async function throughOutage(t, outage, options) {
  const simulator = await simulate(t, { outages: [outage] })
  const sender = await open(t, simulator, options)
  const begins = event(sender, 'outage')
  const sends = Array.from({ length: CONVERSATIONS }, (_, index) => sender.send(message(`m${index}`, `c${index}`)))
  const { reason, open: isOpen } = await begins
  assert.deepEqual([reason, isOpen], ['refused', true])
  const { detail, nextProbeMs } = sender.stats().outage
  assert.ok(nextProbeMs === null || nextProbeMs <= Date.now() + 7_000)
  const ends = event(sender, 'outage')
  await simulator.set({ outages: null })
  await Promise.all(sends)
  assert.deepEqual([(await ends).open, sender.stats().outage], [false, null])
  const { duplicates, uniqueIds } = simulator.ledger()
  assert.deepEqual([duplicates, uniqueIds, sender.stats().counters.deadLetters], [0, CONVERSATIONS, 0])
  return detail
}

describe('what refuses everybody is an outage that loses nothing', { concurrency: true }, () => {
  for (const status of [301, 302, 307, 308, 403, 404, 405, 407, 415, 501, 505]) {
    it(`status ${status}`, { timeout: LIMIT_MS }, async (t) => {
      const headers = status < 400 ? { location: 'https://login.invalid/' } : {}
      const detail = await throughOutage(t, { kind: 'status', status, headers })
      assert.deepEqual([detail.status, detail.html], [status, false])
    })
  }
  for (const status of [400, 403, 404, 410, 451]) {
    it(`a page with status ${status}`, { timeout: LIMIT_MS }, async (t) => {
      const detail = await throughOutage(t, { kind: 'html', status })
      assert.deepEqual([detail.status, detail.html], [status, true])
    })
  }
  it('a fragment of a page that is told by its type', { timeout: LIMIT_MS }, async (t) => {
    const headers = { 'content-type': 'text/html; charset=utf-8' }
    const detail = await throughOutage(t, { kind: 'status', status: 400, headers, body: FRAGMENT })
    assert.deepEqual([detail.status, detail.html], [400, true])
  })
  it('arrays', { timeout: LIMIT_MS }, (t) => throughOutage(t, { kind: 'status', status: 403 }, ARRAYS))
  it('merged texts', { timeout: LIMIT_MS }, (t) => throughOutage(t, { kind: 'status', status: 403 }, { batch: { mode: 'merge' } }))
})

test('a list that refuses each message of an array is no dead letter of them', { timeout: LIMIT_MS }, async (t) => {
  let status = 403
  const { url } = await serve(t, async (request, response) => {
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    const list = JSON.parse(Buffer.concat(chunks)).map(({ id }) => ({ id, status, code: 'missing.permissions' }))
    answerJson(response, 207, list)
  })
  const sender = await open(t, url, { credentials: { accessToken: 'token' }, ...ARRAYS })
  const begins = event(sender, 'outage')
  const sends = Array.from({ length: CONVERSATIONS }, (_, index) => sender.send(message(`m${index}`, `c${index}`)))
  assert.equal((await begins).reason, 'refused')
  assert.deepEqual(sender.stats().outage.detail, { status: 403, code: 'missing.permissions', html: false, correlationId: null })
  status = 200
  const receipts = await Promise.all(sends)
  assert.equal(receipts.length, CONVERSATIONS)
  assert.equal(sender.stats().counters.deadLetters, 0)
})

test('the refusal of one conversation alone is no outage, is shown, and is tried again', { timeout: LIMIT_MS }, async (t) => {
  const simulator = await simulate(t, { outages: [{ kind: 'status', status: 403 }] })
  const sender = await open(t, simulator)
  const told = []
  sender.on('outage', (outage) => told.push(outage))
  const sent = sender.send(message('m'))
  await until(() => sender.stats().queue.refused === 1)
  assert.match(sender.metrics(), /^spillway_queue_refused_messages\{.*\} 1$/m)
  const { state, reasons } = await sender.explain('m')
  assert.deepEqual([state, reasons.map(({ kind }) => kind)], ['queued', ['retry']])
  assert.match(reasons[0].detail, /status 403/)
  assert.ok(reasons[0].untilMs > Date.now() - LIMIT_MS)
  await simulator.set({ outages: null })
  assert.equal((await sent).attempts, 2)
  assert.deepEqual([sender.stats().queue.refused, sender.stats().outage, told], [0, null, []])
})

test('a fragment of a page with 200 is no receipt', async (t) => {
  const { url } = await serve(t, (request, response) => {
    request.resume()
    const type = request.url.includes('plain') ? 'text/html' : 'TEXT/HTML;charset=utf-8'
    response.writeHead(200, { 'content-type': type }).end(request.url.includes('plain') ? 'ok' : FRAGMENT)
  })
  const sender = await open(t, url, { credentials: { accessToken: 'token' }, retry: { ambiguous: 'fail' } })
  const { code, ambiguous, status } = await failure(sender.send(message('page', 'page')))
  assert.deepEqual([code, ambiguous, status], ['DELIVERY_AMBIGUOUS', true, 200])
  assert.equal((await sender.send(message('plain', 'plain'))).body, 'ok')
  const { status: told, body } = await sender.request({ method: 'GET', path: '/page' })
  assert.deepEqual([told, body], [200, FRAGMENT], 'a call gets what came')
})

test('a Retry-After of several lines, dates among them, is the longest wait', async (t) => {
  for (const [lines, seconds] of [
    [['1', '2'], 2],
    [['2', '1'], 2],
    [['0', '1'], 1],
    [['soon', '1'], 1],
  ]) {
    let requests = 0
    const { url } = await serve(t, (request, response) => {
      request.resume()
      requests += 1
      answerJson(response, requests === 1 ? 429 : 200, {}, requests === 1 ? { 'retry-after': lines } : {})
    })
    const sender = await open(t, url, { credentials: { accessToken: 'token' } })
    const [{ reason, pauseMs }] = await Promise.all([event(sender, 'throttled'), sender.enqueue(message('m'))])
    assert.deepEqual([reason, pauseMs], ['retry-after', seconds * 1_000], lines.join())
  }
})
