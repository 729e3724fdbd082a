'use strict'

// A conversation that is over, with a long backlog in the file: it doesn't spend everybody's budget, each message ends once, and
// a restart while they end loses none.

const assert = require('node:assert/strict')
const http = require('node:http')
const { join } = require('node:path')
const { test } = require('node:test')

const { defer, directory, message, open, optionsFor, until } = require('./support.js')

const COUNT = 2_000
const LIVE = 5

/** An API that answers 404 for one conversation until `state.isOver` is cleared. `state` lists the ids that arrived for it and for the others. */
async function serve(t) {
  const state = { isOver: true, dead: [], live: [] }
  const server = http.createServer((request, response) => {
    const id = request.headers['idempotency-key']
    const isDead = request.url.includes('/dead/')
    state[isDead ? 'dead' : 'live'].push(id)
    request.resume()
    const body = { code: 'not.found', message: 'Unable to find conversation dead', status: 404 }
    response.writeHead(isDead && state.isOver ? 404 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(isDead && state.isOver ? body : {}))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  defer(t, () => {
    server.close()
    server.closeAllConnections()
  })
  return { state, url: `http://127.0.0.1:${server.address().port}` }
}

function options(t, url, endedConversation) {
  const credentials = { accessToken: 'token' }
  return optionsFor({ url }, join(directory(t), 'outbox.db'), { credentials, retry: { endedConversation } })
}

/** Fills the file while nothing may leave. */
async function fill(t, options) {
  const sender = await open(t, options)
  await sender.pause()
  const dead = Array.from({ length: COUNT }, (_, n) => sender.enqueue(message(`dead-${n}`, 'dead', n)))
  const live = Array.from({ length: LIVE }, (_, n) => sender.enqueue(message(`live-${n}`, `live-${n}`, 0)))
  await Promise.all([...dead, ...live])
  await sender.close({ timeoutMs: 0 })
}

async function lettersOf(sender) {
  const letters = []
  for await (const { id, reason, status, attempts } of sender.deadLetters()) letters.push({ id, reason, status, attempts })
  return letters
}

test('bury: one request, and each is a dead letter with that answer, over restarts meanwhile', { timeout: 120_000 }, async (t) => {
  const { state, url } = await serve(t)
  const own = options(t, url, 'bury')
  await fill(t, own)
  let restarts = 0
  for (let left = COUNT; left > 0; restarts++) {
    const sender = await open(t, own)
    await sender.resume()
    const before = sender.stats().queue.deadLetters
    await until(() => sender.stats().queue.messages === 0 || sender.stats().queue.deadLetters > before)
    await sender.close({ timeoutMs: 0 })
    left = sender.stats().queue.messages
  }
  const sender = await open(t, own)
  const letters = await lettersOf(sender)
  assert.equal(new Set(letters.map(({ id }) => id)).size, COUNT)
  assert.ok(letters.every(({ reason, status }) => reason === 'rejected' && status === 404))
  assert.ok(state.dead.length <= restarts, `${state.dead.length} requests in ${restarts} runs`)
  assert.equal(letters.filter(({ attempts }) => attempts > 0).length, state.dead.length)
  assert.deepEqual(new Set(state.live).size, LIVE)

  state.isOver = false
  state.dead.length = 0
  assert.deepEqual(await sender.redrive({ status: 404 }), { redriven: COUNT, full: 0, unsendable: 0 })
  await until(() => sender.stats().queue.messages === 0)
  assert.deepEqual(state.dead.sort(), letters.map(({ id }) => id).sort())
})

test('each: it is shown, an operator has it tried, and a success lets all others go', { timeout: 120_000 }, async (t) => {
  const { state, url } = await serve(t)
  const own = { ...options(t, url, 'each'), rateLimit: { requests: 300, perMs: 60_000 } }
  const sender = await open(t, own)
  for (let n = 0; n < 20; n++) await sender.enqueue(message(`dead-${n}`, 'dead', n))
  await until(() => sender.stats().pauses.length > 0)
  const [pause] = sender.stats().pauses
  assert.deepEqual([pause.scope, pause.conversationId, pause.reason, pause.untilMs], ['conversation', 'dead', 'ended', null])
  assert.ok(pause.nextProbeMs > pause.sinceMs)
  const { reasons } = await sender.explain('dead-19')
  const told = reasons.find(({ kind }) => kind === 'pause')
  assert.deepEqual([told.scope, told.conversationId], ['conversation', 'dead'])
  assert.match(told.detail, /is over/)
  state.isOver = false
  await sender.resume({ scope: { conversationId: 'dead' } })
  await until(() => sender.stats().queue.messages === 0)
  assert.deepEqual(sender.stats().pauses, [])
  assert.equal(sender.stats().counters.delivered + sender.stats().counters.deadLetters, 20)
})
