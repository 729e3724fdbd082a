'use strict'

// What an operator does by hand: hold everything back, and have what is shut probed at once.

const assert = require('node:assert/strict')
const { rmSync, mkdtempSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { test } = require('node:test')

const { ConfigError, Sender } = require('../../index.js')
const { defer, event, failure, message, open, optionsFor, simulate } = require('./support.js')

test('a pause holds messages and calls back until it is ended', async (t) => {
  const simulator = await simulate(t)
  const sender = await open(t, simulator)
  const told = event(sender, 'throttled')
  await sender.pause()
  const { scope, route, conversationId, reason, untilMs, pauseMs, long } = await told
  assert.deepEqual([scope, route, conversationId], ['organization', null, null])
  assert.deepEqual([reason, untilMs, pauseMs, long], ['operator', Infinity, Infinity, false])
  const sent = sender.send(message('m'))
  const called = sender.request({ method: 'GET', path: '/api/v2/users/me' })
  await assert.rejects(sender.send(message('short', 'c', { expiresInMs: 20 })), { code: 'EXPIRED' })
  assert.equal((await failure(sender.request({ method: 'GET', path: '/', deadlineMs: 20 }))).code, 'DELIVERY_TIMEOUT')
  assert.equal((await failure(sender.drain({ timeoutMs: 20 }))).code, 'DRAIN_TIMEOUT')
  assert.equal(simulator.ledger().arrivals, 0)
  const { pause, pauses } = sender.stats()
  assert.deepEqual([pause.reason, pause.untilMs, pause.remainingMs], ['operator', null, null])
  assert.deepEqual(
    pauses.map(({ scope, reason, untilMs, nextProbeMs }) => [scope, reason, untilMs, nextProbeMs]),
    [['organization', 'operator', null, null]],
  )
  assert.ok(pauses[0].sinceMs <= Date.now())
  const { reasons, expectedInMs } = await sender.explain('m')
  assert.deepEqual([reasons.map(({ kind }) => kind), expectedInMs], [['pause'], null])
  assert.match(reasons[0].detail, /operator/)
  assert.match(sender.metrics(), /^spillway_paused\{.*\} 1$/m)
  const over = event(sender, 'resumed')
  await sender.resume()
  assert.ok((await over).pausedMs >= 0)
  assert.equal((await sent).attempts, 1)
  await called.catch(() => {})
  assert.deepEqual([sender.stats().pause, sender.stats().pauses], [null, []])
})

test('a pause with forMs ends by itself', async (t) => {
  const simulator = await simulate(t)
  const sender = await open(t, simulator)
  const over = event(sender, 'resumed')
  await sender.pause({ scope: 'organization', forMs: 100 })
  assert.ok(sender.stats().pause.untilMs > 0)
  assert.equal((await sender.send(message('m'))).attempts, 1)
  assert.ok((await over).pausedMs >= 99)
})

test('resume has a long pause of the server probed at once', async (t) => {
  const simulator = await simulate(t, { script: [{ request: 1, status: 429, headers: { 'retry-after': '36000' } }] })
  const sender = await open(t, simulator)
  const throttled = event(sender, 'throttled')
  const sent = sender.send(message('m'))
  assert.equal((await throttled).long, true)
  await sender.resume()
  assert.equal((await sent).attempts, 1)
})

test('with a file, a pause is in force for the next sender', async (t) => {
  const simulator = await simulate(t)
  const directory = mkdtempSync(join(tmpdir(), 'spillway-operator-'))
  defer(t, () => rmSync(directory, { recursive: true, force: true }))
  const options = optionsFor(simulator, { store: `file:${join(directory, 'outbox.db')}` })
  const first = await Sender.open(options)
  await first.pause()
  await first.enqueue(message('m'))
  assert.deepEqual(await first.close({ timeoutMs: 0 }), { undelivered: 1 })
  const second = await Sender.open(options)
  defer(t, () => second.close({ timeoutMs: 0 }))
  assert.equal(second.stats().pause.reason, 'operator')
  assert.equal(simulator.ledger().arrivals, 0)
  const delivered = event(second, 'delivered')
  await second.resume()
  assert.equal((await delivered).id, 'm')
})

for (const [what, call, field] of [
  ['a pause of a scope that is none', (sender) => sender.pause({ scope: 'conversation' }), 'scope'],
  ['a pause for no time', (sender) => sender.pause({ forMs: 0 }), 'forMs'],
  ['a pause for a text', (sender) => sender.pause({ forMs: '1m' }), 'forMs'],
  ['a misspelt option', (sender) => sender.pause({ forms: 1 }), 'forms'],
  ['an end of a scope that is none', (sender) => sender.resume({ scope: 'route' }), 'scope'],
  ['an end of a route without a name', (sender) => sender.resume({ scope: {} }), 'scope.route'],
]) {
  test(`${what} is refused by name`, async (t) => {
    const sender = await open(t, await simulate(t))
    const error = await failure(call(sender))
    assert.ok(error instanceof ConfigError)
    assert.equal(error.field, field)
  })
}

test('a route that is not shut, or not known, needs no end', async (t) => {
  const sender = await open(t, await simulate(t))
  await sender.resume({ scope: { route: 'GET /api/v2/users/{}' } })
})
