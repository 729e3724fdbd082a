'use strict'

// Guarantee 4 over HTTP: a 429 stops what its limit holds for, and nothing else, whether or not it names it.

const assert = require('node:assert/strict')
const { rmSync, mkdtempSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { test } = require('node:test')

const { Sender } = require('../../index.js')
const { answerJson, event, failure, ignore, message, open, optionsFor, serve, simulate } = require('./support.js')

const WORKITEMS = '/api/v2/taskmanagement/workitems'
const ROUTE = `POST ${WORKITEMS}`
const MINUTE = { requests: 1, perMs: 60_000 }
const NAMED = { limitKey: 'workitems.rate.per.minute', namespace: 'taskmanagement' }

const workitem = (sender) => sender.request({ method: 'POST', path: WORKITEMS, body: {} })

async function limited(t, sender) {
  const throttled = event(sender, 'throttled')
  await workitem(sender)
  ignore(workitem(sender))
  return throttled
}

test('the limit of an endpoint stops that endpoint, and is told everywhere', async (t) => {
  const simulator = await simulate(t, { answerStyle: 'genesys', routes: [{ path: WORKITEMS, quota: MINUTE, ...NAMED }] })
  const sender = await open(t, simulator)
  const told = { scope: 'route', route: ROUTE, conversationId: null, key: NAMED.limitKey, namespace: NAMED.namespace, value: 1 }
  const { reason, untilMs, pauseMs, long, ...scope } = await limited(t, sender)
  assert.deepEqual([scope, reason, long], [told, 'retry-after', false])
  assert.ok(untilMs > Date.now() && pauseMs > 30_000)
  for (let index = 0; index < 5; index += 1) assert.equal((await sender.send(message(`m${index}`))).attempts, 1)
  const { pause, pauses } = sender.stats()
  assert.equal(pause, null)
  const [{ sinceMs, nextProbeMs, untilMs: listed, reason: why, ...listedScope }] = pauses
  assert.deepEqual([pauses.length, listedScope, why], [1, told, 'retry-after'])
  assert.ok(sinceMs <= Date.now() && nextProbeMs > Date.now() && listed >= nextProbeMs)
  assert.match(sender.metrics(), /^spillway_pauses\{.*scope="route",route="POST \/api.*",key="workitems.rate.per.minute",value="1"\} 1$/m)
  assert.match(sender.metrics(), /^spillway_paused\{.*\} 0$/m)
})

test('the limit of a conversation stops that conversation, which an operator can have probed', async (t) => {
  const path = '/api/v2/messaging/conversations/{id}/messages'
  const limitKey = 'messages.per.conversation.rate.per.minute'
  const routes = [{ path, quota: MINUTE, quotaPer: 'path', limitKey, namespace: 'messaging' }]
  const simulator = await simulate(t, { answerStyle: 'genesys', routes })
  const sender = await open(t, simulator)
  await sender.send(message('a1', 'a'))
  const throttled = event(sender, 'throttled')
  const second = sender.send(message('a2', 'a'))
  const { scope, conversationId, key } = await throttled
  assert.deepEqual([scope, conversationId, key], ['conversation', 'a', limitKey])
  await Promise.all([sender.send(message('b1', 'b')), sender.send(message('c1', 'c'))])
  const { reasons } = await sender.explain('a2')
  assert.deepEqual(
    reasons.map((reason) => [reason.kind, reason.scope, reason.conversationId, reason.key]),
    [['pause', 'conversation', 'a', limitKey]],
  )
  await simulator.set({ routes: null })
  const resumed = event(sender, 'resumed')
  await sender.resume({ scope: { conversationId: 'a' } })
  assert.equal((await second).attempts, 1)
  assert.equal((await resumed).conversationId, 'a')
  assert.deepEqual(sender.stats().pauses, [])
})

test('the pause of a route is in the file', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-'))
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  const simulator = await simulate(t, { answerStyle: 'genesys', routes: [{ path: WORKITEMS, quota: MINUTE, ...NAMED }] })
  const options = optionsFor(simulator, { store: `file:${join(folder, 'outbox.db')}`, organization: `scoped ${process.pid}` })
  const first = await Sender.open(options)
  await limited(t, first)
  await first.close({ timeoutMs: 0 })
  const second = await open(t, simulator, options)
  const [{ scope, route, key, value }] = second.stats().pauses
  assert.deepEqual([scope, route, key, value], ['route', ROUTE, NAMED.limitKey, 1])
  await second.send(message('m'))
})

test('a call that would wait for too long is told at once', async (t) => {
  const { url } = await serve(t, (request, response) => {
    request.resume()
    if (request.url === WORKITEMS)
      answerJson(response, 429, { limit: { key: NAMED.limitKey, namespace: NAMED.namespace, value: 1 } }, { 'retry-after': '30000' })
    else answerJson(response, 200, {})
  })
  const sender = await open(t, url, { credentials: { accessToken: 'token' } })
  await sender.send(message('m1'))
  const throttled = event(sender, 'throttled')
  const refused = await failure(workitem(sender))
  assert.deepEqual([refused.name, refused.code, refused.status], ['DeliveryError', 'DELIVERY_THROTTLED', 429])
  assert.ok(refused.retryAfterMs > 29_000_000, `${refused.retryAfterMs}`)
  assert.equal((await failure(workitem(sender))).code, 'DELIVERY_THROTTLED')
  const { scope, route, long } = await throttled
  assert.deepEqual([scope, route, long], ['route', ROUTE, true])
  for (const id of ['m2', 'm3', 'm4']) assert.equal((await sender.send(message(id))).attempts, 1)
  const { pause, pauses } = sender.stats()
  assert.deepEqual([pause, pauses.map((one) => one.route)], [null, [ROUTE]])
})

test('the daily limit of an endpoint that names none stops that endpoint, and messages find out', async (t) => {
  const { url } = await serve(t, (request, response) => {
    request.resume()
    if (request.url === WORKITEMS) answerJson(response, 429, { code: 'too.many.requests', status: 429 }, { 'retry-after': '30000' })
    else answerJson(response, 200, {})
  })
  const sender = await open(t, url, { credentials: { accessToken: 'token' } })
  const scopes = []
  sender.on('throttled', ({ scope }) => scopes.push(scope))
  await sender.send(message('m1', 'c1'))
  const refused = await failure(workitem(sender))
  assert.equal(refused.code, 'DELIVERY_THROTTLED')
  assert.ok(refused.retryAfterMs > 29_000_000, `${refused.retryAfterMs}`)
  assert.deepEqual(
    sender.stats().pauses.map((one) => one.scope),
    ['unknown'],
  )
  await Promise.all([sender.send(message('m2', 'c2')), sender.send(message('m3', 'c3'))])
  const { pause, pauses } = sender.stats()
  assert.deepEqual([pause, pauses.map((one) => one.route)], [null, [ROUTE]])
  assert.deepEqual(scopes, ['unknown', 'route'])
})
