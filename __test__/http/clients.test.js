'use strict'

// Several OAuth clients of one organization: a token, a budget and a pause for each; one queue and one order.

const assert = require('node:assert/strict')
const { inspect } = require('node:util')
const { test } = require('node:test')

const { AuthError, ConfigError, Sender } = require('../../index.js')
const { event, message, open, optionsFor, simulate, until } = require('./support.js')

const client = (name) => ({ name, clientId: `id-of-${name}`, clientSecret: `hush-of-${name}` })
const [BRIDGE, SURVEY, OTHER] = ['bridge', 'survey', 'other'].map(client)
const known = (...clients) => clients.map(({ clientId, clientSecret }) => ({ clientId, clientSecret }))
const WINDOW_MS = 60_000

const send = (sender, from, to, conversations = 3) =>
  Promise.all(
    Array.from({ length: to - from }, (_, index) =>
      sender.send(message(`m${from + index}`, `c${index % conversations}`, { body: { text: 'hello', seq: from + index } })),
    ),
  )

test('each client has a token and a budget of its own, and the order is kept', async (t) => {
  const simulator = await simulate(t, { clients: known(BRIDGE, SURVEY), tokenQuota: { requests: 20, perMs: WINDOW_MS }, latencyMs: 2 })
  const sender = await open(t, simulator, { credentials: [BRIDGE, SURVEY], rateLimit: { requests: 20, perMs: WINDOW_MS } })
  await send(sender, 0, 20)
  const { clients, tokensIssued, refused, orderViolations } = simulator.ledger()
  assert.deepEqual({ tokensIssued, refused, orderViolations }, { tokensIssued: 2, refused: 0, orderViolations: 0 })
  // Whichever token comes first carries what leaves before the other is there.
  const arrivals = known(BRIDGE, SURVEY).map(({ clientId }) => clients[clientId]?.arrivals ?? 0)
  assert.ok(
    arrivals.every((count) => count > 0),
    String(arrivals),
  )
  assert.equal(arrivals[0] + arrivals[1], 20)
  const { tokens, quota, budget } = sender.stats()
  const windows = [{ requests: 20, perMs: WINDOW_MS, why: 'configured', share: null }]
  assert.deepEqual(tokens, [
    { token: 'bridge', windows, available: 20 - arrivals[0] },
    { token: 'survey', windows, available: 20 - arrivals[1] },
  ])
  assert.deepEqual([quota.windows[0].requests, budget.available], [40, 20])
})

test('organizationLimit holds over all of them', async (t) => {
  const simulator = await simulate(t, { clients: known(BRIDGE, SURVEY), latencyMs: 2 })
  const sender = await open(t, simulator, {
    credentials: [BRIDGE, SURVEY],
    rateLimit: { requests: 20, perMs: WINDOW_MS },
    organizationLimit: { requests: 6, perMs: WINDOW_MS },
  })
  await Promise.all(Array.from({ length: 12 }, (_, index) => sender.enqueue(message(`m${index}`, `c${index}`))))
  // Half of it at once, the rest spread over the window: see docs/learning.md, "Late arrivals". All are late here.
  await until(() => simulator.ledger().accepted === 6)
  assert.equal(sender.stats().budget.available, 0)
  assert.deepEqual(
    sender.stats().quota.windows.map(({ requests }) => requests),
    [40, 6],
  )
})

test("a token's limit pauses that one, with its name, and the rest goes on", async (t) => {
  const limit = { key: 'client.credentials.token.rate.per.minute', namespace: 'platform.api' }
  const simulator = await simulate(t, {
    clients: known(BRIDGE, SURVEY),
    answerStyle: 'genesys',
    tokenQuota: { requests: 5, perMs: WINDOW_MS, algorithm: 'sliding-log' },
    latencyMs: 2,
  })
  const sender = await open(t, simulator, { credentials: [BRIDGE, SURVEY] })
  const throttled = []
  sender.on('throttled', (pause) => throttled.push(pause))
  await send(sender, 0, 9, 1)
  await sender.enqueue(message('m9', 'c0'))
  await sender.enqueue(message('m10', 'c0'))
  await until(() => throttled.length > 0)
  const { scope, token, route, key, namespace } = throttled[0]
  assert.ok(['bridge', 'survey'].includes(token), token)
  assert.deepEqual({ scope, route, key, namespace }, { scope: 'token', route: null, ...limit })
  await until(() => simulator.ledger().accepted === 10)
  const pause = sender.stats().pauses.find((one) => one.scope === 'token')
  assert.deepEqual([pause.token, pause.reason], [token, 'retry-after'])
})

test('a client that is refused leaves the others working, and is told by its name', async (t) => {
  const simulator = await simulate(t, { clients: known(BRIDGE, SURVEY), latencyMs: 2 })
  const sender = await open(t, simulator, { credentials: [BRIDGE, OTHER, SURVEY] })
  const outage = event(sender, 'outage')
  await send(sender, 0, 30)
  const { reason, open: begins, token, message: told } = await outage
  assert.deepEqual({ reason, begins, token }, { reason: 'auth', begins: true, token: 'other' })
  assert.match(told, /invalid_client/)
  const { outages, outage: ofAll } = sender.stats()
  assert.equal(ofAll, null)
  assert.deepEqual(
    outages.map((one) => [one.token, one.reason, one.route]),
    [['other', 'auth', null]],
  )
  for (const { clientSecret } of [BRIDGE, OTHER, SURVEY]) {
    assert.equal(inspect([told, sender.stats(), sender], { depth: Infinity, showHidden: true }).includes(clientSecret), false)
  }
  // It works again once the login host knows it.
  const over = event(sender, 'outage', ({ open }) => !open)
  simulator.set({ clients: known(BRIDGE, SURVEY, OTHER) })
  let from = 30
  const feed = setInterval(() => void send(sender, from++, from), 50)
  t.after(() => clearInterval(feed))
  assert.equal((await over).token, 'other')
  clearInterval(feed)
  await sender.drain()
})

test('only when all are refused do promises reject', async (t) => {
  const simulator = await simulate(t, { clients: known(OTHER) })
  const sender = await open(t, simulator, { credentials: [BRIDGE, SURVEY] })
  await assert.rejects(sender.send(message('m')), AuthError)
  assert.equal(sender.stats().outage.reason, 'auth')
})

test('what is spent with a file stays spent for each client, in whatever order they are given', async (t) => {
  const fs = require('node:fs')
  const os = require('node:os')
  const path = require('node:path')
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'spillway-clients-'))
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }))
  const simulator = await simulate(t, { clients: known(BRIDGE, SURVEY), latencyMs: 2 })
  const store = `file:${path.join(folder, 'outbox.db')}`
  const options = { ...optionsFor(simulator, { store, rateLimit: { requests: 20, perMs: WINDOW_MS } }) }
  const first = await Sender.open({ ...options, credentials: [BRIDGE, SURVEY] })
  await send(first, 0, 7)
  await first.close()
  const second = await Sender.open({ ...options, credentials: [SURVEY, BRIDGE] })
  t.after(() => second.close({ timeoutMs: 0 }))
  const available = Object.fromEntries(second.stats().tokens.map((one) => [one.token, one.available]))
  // With which client the requests of the last half second have left isn't kept: they count for each.
  assert.ok(available.bridge >= 13 && available.bridge <= 16, `${available.bridge} of 20, after 4 requests of 7`)
  assert.ok(available.survey >= 13 && available.survey <= 17, `${available.survey} of 20, after 3 requests of 7`)
})

test('a list that is wrong is refused by its field, and shows nothing of it', async () => {
  const refused = async (credentials, more = {}) => {
    try {
      await Sender.open({ ...optionsFor('http://127.0.0.1:1'), credentials, ...more })
    } catch (error) {
      assert.ok(error instanceof ConfigError)
      assert.equal(inspect(error, { depth: Infinity, showHidden: true }).includes('hush'), false)
      return error.field
    }
    assert.fail('it was opened')
  }
  assert.equal(await refused([]), 'credentials')
  assert.equal(await refused([BRIDGE, 'hush']), 'credentials[1]')
  assert.equal(await refused([BRIDGE, { accessToken: () => 'hush' }]), 'credentials[1].accessToken')
  assert.equal(await refused([BRIDGE, BRIDGE]), 'credentials[1].clientId')
  assert.equal(await refused([BRIDGE, SURVEY], { budget: 'redis://127.0.0.1:1' }), 'budget')
  assert.equal(await refused(known(BRIDGE)[0], { organizationLimit: { requests: 1, perMs: 1 } }), 'organizationLimit')
})
