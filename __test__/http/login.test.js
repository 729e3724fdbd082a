'use strict'

// Without a token nothing can be sent. Whatever keeps it from coming, at the login host or in the `accessToken` function,
// is an outage: it names the cause, holds messages back without losing any, and ends when a token comes.

const assert = require('node:assert/strict')
const diagnostics = require('node:diagnostics_channel')
const net = require('node:net')
const { test } = require('node:test')

const { answerJson, defer, event, message, open, serve, simulate, TLS, until } = require('./support.js')

const LIMIT_MS = 60_000
const PAGE = '<!DOCTYPE html><html><body>down for maintenance</body></html>'
const html = (response, status, headers) => response.writeHead(status, { 'content-type': 'text/html', ...headers }).end(PAGE)

/** Each way in which a login host fails, and the cause that the outage must name. */
const HOSTS = {
  'answers 500': [(response) => answerJson(response, 500, {}), /the login host answered 500/],
  'answers 503 with a page': [(response) => html(response, 503), /answered 503 with a page of HTML/],
  'answers 429': [(response) => answerJson(response, 429, {}, { 'retry-after': '1' }), /answered 429/],
  'answers 200 with a page': [(response) => html(response, 200), /answered 200 with a page of HTML/],
  'answers 200 with other JSON': [(response) => answerJson(response, 200, { token: 'x' }), /answered 200 with no access_token/],
  'gives an empty token': [(response) => answerJson(response, 200, { access_token: '' }), /no access_token/],
  'gives a token of control characters': [(response) => answerJson(response, 200, { access_token: 'a\nb' }), /characters that a header/],
  redirects: [(response) => response.writeHead(302, { location: 'http://127.0.0.1:9/login' }).end(), /answered 302/],
  'answers 404': [(response) => answerJson(response, 404, {}), /answered 404/],
  'is behind a firewall': [(response) => html(response, 403), /answered 403 with a page of HTML/],
  'is behind a firewall that speaks JSON': [(response) => answerJson(response, 403, { message: 'Forbidden' }), /answered 403/],
  'answers 401 with a page': [(response) => html(response, 401), /answered 401 with a page/],
  'answers 400 without words': [(response) => response.writeHead(400).end(), /answered 400/],
  'answers 400 with a page': [(response) => html(response, 400), /answered 400 with a page/],
  'answers 400 with other JSON': [(response) => answerJson(response, 400, { message: 'bad request' }), /answered 400/],
  'answers 407': [(response) => response.writeHead(407).end(), /answered 407/],
  'cuts the connection': [(response) => response.destroy(), /error sending request/],
  'never answers': [() => {}, /did not answer within 500 ms/],
}

/** A login host that fails in this way while `state.fails` is set, and an API that accepts everything. */
async function failingLogin(t, does, options = {}) {
  const state = { fails: true }
  const { url } = await serve(
    t,
    (request, response) => {
      request.resume()
      if (!request.url.endsWith('/oauth/token')) return answerJson(response, 200, {})
      if (state.fails) return does(response)
      answerJson(response, 200, { access_token: 'a-token', expires_in: 86_400 })
    },
    options,
  )
  return { url, state }
}

async function isTold(sender, cause, secrets = []) {
  const outage = await event(sender, 'outage')
  assert.deepEqual([outage.reason, outage.open], ['token', true])
  assert.match(outage.message, cause)
  const { outage: standing, outages } = sender.stats()
  assert.equal(standing.reason, 'token')
  assert.match(standing.message, cause)
  assert.ok(standing.sinceMs <= Date.now())
  assert.deepEqual(
    outages.map(({ route, reason }) => [route, reason]),
    [[null, 'token']],
  )
  assert.match(sender.metrics(), /spillway_outage\{[^}]*reason="token"\} 1/)
  const explained = await sender.explain('m')
  assert.deepEqual(
    explained.reasons.map(({ kind }) => kind),
    ['auth'],
  )
  assert.match(explained.reasons[0].detail, cause)
  for (const secret of ['hush-hush', ...secrets])
    assert.doesNotMatch(JSON.stringify([outage, sender.stats(), explained]), new RegExp(secret))
}

for (const [what, [does, cause]] of Object.entries(HOSTS)) {
  test(`a login host that ${what}: an outage with its cause, until there is a token`, { timeout: LIMIT_MS }, async (t) => {
    const { url, state } = await failingLogin(t, does)
    const sender = await open(t, url, { connections: { requestTimeoutMs: 500 } })
    const sent = sender.send(message('m'))
    await isTold(sender, cause)
    const closed = event(sender, 'outage')
    state.fails = false
    assert.equal((await sent).attempts, 1)
    const { reason, open: isOpen, message: text } = await closed
    assert.deepEqual([reason, isOpen, text], ['token', false, ''])
    assert.equal(sender.stats().outage, null)
    assert.match(sender.metrics(), /spillway_outage\{[^}]*reason="token"\} 0/)
  })
}

async function closedPort() {
  const server = net.createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

for (const [what, loginUrl, cause] of [
  ['is down', async () => `http://127.0.0.1:${await closedPort()}`, /refused/i],
  ['has no address', async () => 'http://login.invalid', /dns|lookup|name|address/i],
  ['has a certificate that nobody trusts', async (t) => (await failingLogin(t, () => {}, { tls: TLS })).url, /certificate/i],
]) {
  test(`a login host that ${what}: an outage with its cause`, { timeout: LIMIT_MS }, async (t) => {
    const simulator = await simulate(t)
    const sender = await open(t, simulator, { loginUrl: await loginUrl(t) })
    sender.send(message('m')).catch(() => {})
    await isTold(sender, cause)
    assert.equal(sender.stats().queue.messages, 1)
  })
}

for (const [what, throws, cause] of [
  [
    'rejects',
    async () => {
      throw new Error('the vault is sealed')
    },
    /accessToken failed: the vault is sealed/,
  ],
  [
    'throws',
    () => {
      throw new Error('the vault is sealed')
    },
    /accessToken failed: the vault is sealed/,
  ],
  [
    'throws no error',
    () => {
      throw undefined
    },
    /accessToken failed: no reason given/,
  ],
]) {
  test(`an accessToken function that ${what}: an outage with the cause, until it gives one`, { timeout: LIMIT_MS }, async (t) => {
    const simulator = await simulate(t, { authRequired: false })
    let fails = true
    const sender = await open(t, simulator, { credentials: { accessToken: () => (fails ? throws() : 'a-token') } })
    const sent = sender.send(message('m'))
    await isTold(sender, cause)
    fails = false
    assert.equal((await sent).attempts, 1)
    assert.equal(sender.stats().outage, null)
  })
}

test('an accessToken function that never answers: an outage, until another call gives one', { timeout: LIMIT_MS }, async (t) => {
  const simulator = await simulate(t, { authRequired: false })
  let give
  const sender = await open(t, simulator, { credentials: { accessToken: () => new Promise((resolve) => (give = resolve)) } })
  const sent = sender.send(message('m'))
  await isTold(sender, /none has come for 15 s/)
  give('a-token')
  assert.equal((await sent).attempts, 1)
})

test('a refusal in the words of OAuth is one of the credentials, and no outage of tokens', { timeout: LIMIT_MS }, async (t) => {
  const { url } = await failingLogin(t, (response) =>
    answerJson(response, 400, { error: 'invalid_client', description: 'client not found' }),
  )
  const sender = await open(t, url)
  const opened = event(sender, 'outage')
  await assert.rejects(sender.send(message('m')), { code: 'AUTH_REJECTED', message: /invalid_client client not found/ })
  assert.equal((await opened).reason, 'auth')
  assert.equal(sender.stats().outage.reason, 'auth')
  assert.match(sender.stats().outage.message, /invalid_client/)
})

test('the channel tells why there is no token', { timeout: LIMIT_MS }, async (t) => {
  const told = []
  const listener = (payload) => told.push(payload)
  diagnostics.subscribe('spillway:outage', listener)
  defer(t, () => diagnostics.unsubscribe('spillway:outage', listener))
  const { url, state } = await failingLogin(t, (response) => answerJson(response, 500, {}))
  const sender = await open(t, url)
  const sent = sender.send(message('m'))
  await until(() => told.length === 1)
  state.fails = false
  await sent
  await until(() => told.length === 2)
  assert.deepEqual(
    told.map(({ reason, open: isOpen }) => [reason, isOpen]),
    [
      ['token', true],
      ['token', false],
    ],
  )
  assert.match(told[0].message, /answered 500/)
})

test('a message that expires, and a call with a deadline, end while there is no token', { timeout: LIMIT_MS }, async (t) => {
  const { url } = await failingLogin(t, (response) => answerJson(response, 500, {}))
  const sender = await open(t, url)
  const controller = new AbortController()
  const aborted = assert.rejects(sender.send(message('aborted'), { signal: controller.signal }), { name: 'AbortError' })
  const expires = assert.rejects(sender.send(message('m', 'c', { expiresInMs: 2_000 })), { code: 'EXPIRED' })
  const late = assert.rejects(sender.request({ method: 'GET', path: '/', deadlineMs: 2_000 }), { code: 'DELIVERY_TIMEOUT' })
  await event(sender, 'outage')
  controller.abort()
  await Promise.all([aborted, expires, late])
  assert.equal(sender.stats().queue.messages, 0)
})
