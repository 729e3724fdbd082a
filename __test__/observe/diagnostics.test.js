'use strict'

const assert = require('node:assert/strict')
const diagnostics = require('node:diagnostics_channel')
const { test } = require('node:test')
const { setTimeout: delay } = require('node:timers/promises')

const { answerJson, CREDENTIALS, defer, message, open, serve, simulate, until } = require('../http/support.js')

const CHANNELS = [
  'spillway:message:submitted',
  'spillway:message:accepted',
  'spillway:message:delivered',
  'spillway:message:dead-letter',
  'spillway:request:end',
  'spillway:throttled',
  'spillway:resumed',
  'spillway:outage',
]

/** What these channels publish from now on, as `[channel, payload]`. */
function subscribe(t, ...names) {
  const told = []
  for (const name of names) {
    const listener = (payload) => told.push([name, payload])
    diagnostics.subscribe(name, listener)
    defer(t, () => diagnostics.unsubscribe(name, listener))
  }
  return told
}
const of = (told, name) => told.filter(([channel]) => channel === name).map(([, payload]) => payload)

test('each channel tells ids, statuses and times, and neither a text nor a secret', async (t) => {
  const simulator = await simulate(t, { poisonText: 'poison' })
  const told = subscribe(t, ...CHANNELS)
  const sender = await open(t, simulator)
  const { organization } = sender.stats()
  await sender.send(message('sent', 'lane'))
  await sender.enqueue(message('queued', 'lane'))
  await sender.drain()
  await sender.send({ id: 'bad', conversationId: 'lane', body: { text: 'poison of the text' } }).catch(() => {})
  await sender.request({ method: 'GET', path: '/nowhere', query: { name: 'text in a query' } }).catch(() => {})
  await until(() => of(told, 'spillway:request:end').length === 4)

  assert.deepEqual(
    of(told, 'spillway:message:submitted').map(({ id }) => id),
    ['sent', 'queued', 'bad'],
  )
  assert.deepEqual(of(told, 'spillway:message:accepted'), [{ organization, id: 'queued', duplicate: false }])
  const delivered = of(told, 'spillway:message:delivered')
  assert.deepEqual(
    delivered.map(({ id }) => id),
    ['sent', 'queued'],
  )
  assert.deepEqual(Object.keys(delivered[0]), [
    'organization',
    'id',
    'conversationId',
    'status',
    'attempts',
    'batchSize',
    'queuedMs',
    'correlationId',
  ])
  assert.equal(delivered[0].attempts, 1)
  const [letter] = of(told, 'spillway:message:dead-letter')
  assert.deepEqual([letter.id, letter.reason, letter.status, letter.organization], ['bad', 'rejected', 400, organization])
  const [first, , , last] = of(told, 'spillway:request:end')
  assert.deepEqual(
    [first.method, first.path, first.messages, first.messageId, first.problem],
    ['POST', '/api/v2/messaging/conversations/lane/messages', 1, 'sent', null],
  )
  assert.ok(first.tookMs > 0 && Math.abs(Date.now() - first.startedAtMs) < 60_000)
  assert.deepEqual([last.method, last.path, last.messages, last.status], ['GET', '/nowhere', 0, 404])
  const all = JSON.stringify(told)
  assert.doesNotMatch(all, /text of|poison of|text in a query/)
  assert.ok(!all.includes(CREDENTIALS.clientSecret))
})

test('a pause and its end, an outage', async (t) => {
  const told = subscribe(t, 'spillway:throttled', 'spillway:resumed', 'spillway:outage')
  let requests = 0
  let locked = false
  const { url } = await serve(t, (request, response) => {
    requests += 1
    if (requests === 1) answerJson(response, 429, {}, { 'retry-after': '1' })
    else answerJson(response, locked ? 401 : 200, {})
  })
  const sender = await open(t, url, { credentials: { accessToken: 'token' } })
  await sender.send(message('one'))
  const [throttled] = of(told, 'spillway:throttled')
  assert.equal(throttled.reason, 'retry-after')
  assert.ok(throttled.untilMs > 0 && throttled.pauseMs >= 1_000)
  await until(() => of(told, 'spillway:resumed').length === 1)
  // Several conversations are refused: it is the token.
  locked = true
  for (const conversationId of ['c1', 'c2', 'c3']) sender.send({ ...message(conversationId), conversationId }).catch(() => {})
  await until(() => of(told, 'spillway:outage').length > 0)
  const [outage] = of(told, 'spillway:outage')
  assert.deepEqual([outage.reason, outage.open, outage.message], ['auth', true, undefined])
})

test('a subscription after open is heard, and ends', async (t) => {
  const simulator = await simulate(t)
  const sender = await open(t, simulator)
  await sender.send(message('before'))
  const told = []
  const listener = (payload) => told.push(payload.messageId)
  diagnostics.subscribe('spillway:request:end', listener)
  await sender.send(message('during'))
  diagnostics.unsubscribe('spillway:request:end', listener)
  await sender.send(message('after'))
  assert.deepEqual(told, ['during'])
})

test('nothing of it is an event of the sender', async (t) => {
  const simulator = await simulate(t)
  subscribe(t, 'spillway:request:end')
  const sender = await open(t, simulator)
  let heard = 0
  sender.on('request', () => heard++)
  await sender.send(message('one'))
  await delay(10)
  assert.equal(heard, 0)
})

test('two senders of an organization publish what happens once, and the second goes on when the first is closed', async (t) => {
  const simulator = await simulate(t)
  const told = subscribe(t, 'spillway:request:end', 'spillway:message:delivered')
  const first = await open(t, simulator)
  const second = await open(t, simulator, { organization: first.stats().organization })
  await Promise.all([first.send(message('a')), second.send(message('b'))])
  await until(() => told.length === 4)
  assert.deepEqual(told.map(([name, { id, messageId }]) => `${name} ${id ?? messageId}`).sort(), [
    'spillway:message:delivered a',
    'spillway:message:delivered b',
    'spillway:request:end a',
    'spillway:request:end b',
  ])
  await first.close()
  await second.send(message('c'))
  await until(() => told.length === 6)
  await delay(20)
  assert.deepEqual([of(told, 'spillway:message:delivered').length, of(told, 'spillway:request:end').length], [3, 3])
})
