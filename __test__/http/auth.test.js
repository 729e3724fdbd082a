'use strict'

// Access tokens: one for all, ahead of their end, and what happens while there is none.

const assert = require('node:assert/strict')
const { inspect } = require('node:util')
const { test } = require('node:test')

const { AuthError, ConfigError, Sender } = require('../../index.js')
const {
  answerJson,
  collect,
  CREDENTIALS,
  defer,
  event,
  failure,
  ignore,
  message,
  open,
  optionsFor,
  serve,
  simulate,
  until,
} = require('./support.js')

const WRONG = { ...CREDENTIALS, clientSecret: 'another-secret-entirely' }
const LIMIT_MS = 60_000
/** The shortest wait after a token request that failed. */
const RENEWAL_MIN_MS = 250
/** Two clocks are read, each in its own grain. */
const GRAIN_MS = 2

/** An API that takes the tokens for which `good` holds; keeps those that came. */
async function api(t, good) {
  const tokens = []
  const { url } = await serve(t, (request, response) => {
    request.resume()
    const token = request.headers.authorization?.replace('Bearer ', '')
    tokens.push(token)
    answerJson(response, good(token) ? 200 : 401, {})
  })
  return { url, tokens }
}

function assertSecretFree(value, secrets) {
  // Non-enumerable fields, stacks and causes, too.
  const text = inspect(value, { depth: Infinity, showHidden: true })
  for (const secret of secrets) assert.equal(text.includes(secret), false, `a secret in ${text}`)
}

test('a hundred sends at once ask for one token', async (t) => {
  const simulator = await simulate(t, { credentials: CREDENTIALS, latencyMs: 20 })
  const sender = await open(t, simulator)
  await Promise.all(Array.from({ length: 100 }, (_, index) => sender.send(message(`m${index}`))))
  const { tokenRequests, tokensIssued, statuses } = simulator.ledger()
  assert.deepEqual({ tokenRequests, tokensIssued, statuses }, { tokenRequests: 1, tokensIssued: 1, statuses: { 200: 100 } })
  assert.equal(sender.stats().counters.tokenRequests, 1)
})

test('senders of one organization share the token', async (t) => {
  const simulator = await simulate(t, { credentials: CREDENTIALS })
  const options = optionsFor(simulator)
  const senders = await Promise.all([1, 2, 3].map(() => Sender.open(options)))
  for (const sender of senders) defer(t, () => sender.close({ timeoutMs: 0 }))
  await Promise.all(senders.flatMap((sender, index) => [sender.send(message(`a${index}`)), sender.send(message(`b${index}`))]))
  assert.equal(simulator.ledger().tokenRequests, 1)
})

test('the token request: basic authentication, form, and nothing of it at the API', async (t) => {
  const seen = []
  const { url } = await serve(t, async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    seen.push({
      method: request.method,
      url: request.url,
      type: request.headers['content-type'],
      authorization: request.headers.authorization,
      body,
    })
    answerJson(response, 200, { access_token: 'minted', token_type: 'bearer', expires_in: 86_400 })
  })
  const sender = await open(t, url)
  await sender.send(message('m'))
  const [mint, send] = seen
  const { clientId, clientSecret } = CREDENTIALS
  assert.deepEqual(mint, {
    method: 'POST',
    url: '/oauth/token',
    type: 'application/x-www-form-urlencoded',
    authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`,
    body: 'grant_type=client_credentials',
  })
  assert.equal(send.authorization, 'Bearer minted')
})

test('a token is renewed ahead of its end and serves meanwhile: traffic never sees a 401', { timeout: LIMIT_MS }, async (t) => {
  const lifeMs = 8_000
  const tokens = []
  const statuses = new Set()
  let firstAt
  let renew
  const { url } = await serve(t, (request, response) => {
    request.resume()
    if (request.url === '/oauth/token') {
      if (firstAt !== undefined) return (renew = () => answerJson(response, 200, { access_token: 'second', expires_in: 86_400 }))
      firstAt = performance.now()
      return answerJson(response, 200, { access_token: 'first', expires_in: lifeMs / 1_000 })
    }
    const token = request.headers.authorization.replace('Bearer ', '')
    const status = token === 'first' && performance.now() - firstAt > lifeMs ? 401 : 200
    tokens.push(token)
    statuses.add(status)
    answerJson(response, status, {})
  })
  const sender = await open(t, url, { rateLimit: { requests: 20, perMs: 100 } })
  let index = 0
  const send = () => sender.send(message(`m${(index += 1)}`))
  while (renew === undefined) await send()
  assert.ok(performance.now() - firstAt >= lifeMs / 2, `renewed after ${performance.now() - firstAt} ms`)
  // There would be nothing to send these with if the renewal came no sooner than the end.
  await Promise.all(Array.from({ length: 10 }, send))
  assert.deepEqual([...new Set(tokens)], ['first'])
  renew()
  await until(async () => {
    await send()
    return tokens.at(-1) === 'second'
  })
  await send()
  assert.equal(tokens.at(-1), 'second')
  assert.deepEqual([...statuses], [200])
  assert.equal(sender.stats().counters.tokenRequests, 2)
})

test('401: one refresh for all, the same attempt, the place is kept', async (t) => {
  let valid = 'token-1'
  let minted = 0
  const order = []
  const { url } = await serve(t, (request, response) => {
    request.resume()
    if (request.url === '/oauth/token') {
      minted += 1
      valid = `token-${minted}`
      return answerJson(response, 200, { access_token: valid, expires_in: 86_400 })
    }
    const good = request.headers.authorization === `Bearer ${valid}`
    if (good) order.push(request.headers['idempotency-key'])
    answerJson(response, good ? 200 : 401, {})
  })
  const sender = await open(t, url)
  await sender.send(message('first'))
  valid = 'revoked'
  const ids = Array.from({ length: 30 }, (_, index) => `m${index}`)
  const receipts = await Promise.all(ids.map((id, index) => sender.send(message(id, index < 10 ? 'one' : undefined))))
  assert.ok(receipts.every(({ attempts }) => attempts === 1))
  assert.equal(minted, 2)
  assert.deepEqual(
    order.filter((id) => ids.indexOf(id) >= 0 && ids.indexOf(id) < 10),
    ids.slice(0, 10),
  )
  assert.equal(sender.stats().counters.deadLetters, 0)
  assert.equal(sender.stats().outage, null)
})

test('wrong credentials: the promise rejects, the message stays, and goes once they work', { timeout: LIMIT_MS }, async (t) => {
  const simulator = await simulate(t, { credentials: CREDENTIALS })
  const sender = await open(t, simulator, { credentials: WRONG })
  const outages = []
  sender.on('outage', (outage) => outages.push(outage))
  const delivered = []
  sender.on('delivered', ({ id }) => delivered.push(id))
  const opened = event(sender, 'outage')

  const error = await failure(sender.send(message('m', 'c')))
  assert.ok(error instanceof AuthError)
  assert.deepEqual([error.code, error.messageId], ['AUTH_REJECTED', 'm'])
  assert.match(error.message, /401/)
  assertSecretFree(error, [WRONG.clientSecret])

  const outage = await opened
  assert.deepEqual([outage.reason, outage.open], ['auth', true])
  assertSecretFree(outage, [WRONG.clientSecret])
  assert.equal(sender.stats().outage.reason, 'auth')
  assert.equal(sender.stats().queue.messages, 1)
  const explained = await sender.explain('m')
  assert.deepEqual(
    explained.reasons.map(({ kind }) => kind),
    ['auth'],
  )
  assert.deepEqual([explained.state, explained.attempts], ['queued', 0])
  assert.equal(simulator.ledger().arrivals, 0)

  // While it lasts, further sends are told so at once, and stay as well; enqueue only accepts; requests don't stay.
  const second = await failure(sender.send(message('n', 'c')))
  assert.deepEqual([second.code, second.messageId], ['AUTH_REJECTED', 'n'])
  const again = await failure(sender.send(message('m', 'c')))
  assert.deepEqual([again.code, again.messageId], ['AUTH_REJECTED', 'm'])
  assert.deepEqual(await sender.enqueue(message('o', 'c')), { id: 'o', duplicate: false })
  assert.equal((await failure(sender.request({ method: 'GET', path: '/api/v2/users/me' }))).code, 'AUTH_REJECTED')
  assert.equal(sender.stats().queue.messages, 3)
  assert.deepEqual(await collect(sender.deadLetters()), [])

  const closed = event(sender, 'outage', ({ open }) => !open)
  await simulator.set({ credentials: WRONG })
  assert.equal((await closed).reason, 'auth')
  await sender.drain()
  assert.deepEqual(delivered, ['m', 'n', 'o'])
  assert.deepEqual(
    outages.map(({ reason, open }) => [reason, open]),
    [
      ['auth', true],
      ['auth', false],
    ],
  )
  assert.equal(sender.stats().outage, null)
})

test('credentials that are withdrawn later, and given back', { timeout: LIMIT_MS }, async (t) => {
  const simulator = await simulate(t, { credentials: CREDENTIALS, tokenLifeMs: 1_000 })
  const sender = await open(t, simulator)
  await sender.send(message('before'))
  await simulator.set({ credentials: WRONG })
  const opened = event(sender, 'outage', ({ open }) => open)
  // Sends until the token has ended: the first that finds none is the last.
  let index = 0
  let error
  await until(async () => {
    error = await sender.send(message(`m${(index += 1)}`)).then(
      () => undefined,
      (reason) => reason,
    )
    return error
  })
  assert.equal(error.code, 'AUTH_REJECTED')
  await opened
  assert.equal((await sender.explain(error.messageId)).state, 'queued')
  const delivered = event(sender, 'delivered', ({ id }) => id === error.messageId)
  await simulator.set({ credentials: CREDENTIALS })
  assert.equal((await delivered).attempts, 1)
})

test('what is on the wire when the credentials are refused is left to its answer', { timeout: LIMIT_MS }, async (t) => {
  const held = []
  let grants = true
  const { url } = await serve(t, (request, response) => {
    request.resume()
    if (request.url === '/oauth/token') {
      // A life so short that the next request needs another one.
      return grants ? answerJson(response, 200, { access_token: 'x', expires_in: 0.001 }) : answerJson(response, 401, {})
    }
    held.push([request.headers['idempotency-key'] === 'refused' ? 401 : 200, response])
  })
  const sender = await open(t, url)
  const flying = [sender.send(message('delivered')), sender.send(message('refused'))]
  const called = sender.request({ method: 'GET', path: '/' })
  const outcomes = Promise.allSettled([...flying, called])
  await until(() => held.length === 3)
  grants = false
  assert.equal((await failure(sender.send(message('waits')))).code, 'AUTH_REJECTED')
  assert.equal(sender.stats().queue.inFlight, 3)
  for (const [status, response] of held) answerJson(response, status, {})
  const [delivered, refused, answered] = await outcomes
  assert.deepEqual([delivered.value?.status, answered.value?.status], [200, 200])
  assert.deepEqual([refused.reason?.code, refused.reason?.messageId], ['AUTH_REJECTED', 'refused'])
  assert.equal(sender.stats().queue.messages, 2)
})

test('a token endpoint that is throttled is asked again later, and nobody hears of it', { timeout: LIMIT_MS }, async (t) => {
  const asked = []
  const { url } = await serve(t, (request, response) => {
    request.resume()
    if (request.url !== '/oauth/token') return answerJson(response, 200, {})
    asked.push(performance.now())
    if (asked.length > 1) return answerJson(response, 200, { access_token: 'x', expires_in: 86_400 })
    const description = 'rate limit exceeded; retry in 1 seconds'
    answerJson(response, 400, { error: 'invalid_request', description, error_description: description })
  })
  const sender = await open(t, url)
  sender.on('outage', () => assert.fail('a throttle is no outage'))
  const receipt = await sender.send(message('m'))
  assert.deepEqual([receipt.status, receipt.attempts], [200, 1])
  assert.equal(asked.length, 2)
  assert.ok(asked[1] - asked[0] >= RENEWAL_MIN_MS - GRAIN_MS, `asked again after ${asked[1] - asked[0]} ms`)
})

for (const [tokenFault, requestTimeoutMs] of [['status500'], ['cut'], ['slow', 1_000]]) {
  test(`a login host that is ${tokenFault} keeps messages waiting, no more`, { timeout: LIMIT_MS }, async (t) => {
    const simulator = await simulate(t, { tokenFault, faults: { slowMs: 600_000 } })
    const sender = await open(t, simulator, { connections: { requestTimeoutMs }, retry: { maxAttempts: 1, ambiguous: 'fail' } })
    const sent = sender.send(message('m'))
    await until(() => simulator.ledger().tokenRequests >= 2)
    const { reasons, attempts } = await sender.explain('m')
    assert.deepEqual(
      reasons.map(({ kind }) => kind),
      ['auth'],
    )
    assert.equal(attempts, 0)
    await simulator.set({ tokenFault: null })
    assert.equal((await sent).attempts, 1)
  })
}

test('accessToken: a string', async (t) => {
  const { url, tokens } = await api(t, (token) => token === 'abc')
  const sender = await open(t, url, { credentials: { accessToken: 'abc' } })
  await sender.send(message('m'))
  assert.deepEqual(tokens, ['abc'])
})

test('accessToken: a string that is refused', { timeout: LIMIT_MS }, async (t) => {
  let good = 'other'
  const { url } = await api(t, (token) => token === good)
  const sender = await open(t, url, { credentials: { accessToken: 'abc-secret-token' } })
  const opened = event(sender, 'outage')
  const error = await failure(sender.send(message('m')))
  assert.deepEqual([error.name, error.messageId], ['AuthError', 'm'])
  const outage = await opened
  assert.equal(outage.reason, 'auth')
  assertSecretFree([error, outage], ['abc-secret-token'])
  assert.equal(sender.stats().queue.messages, 1)
  const delivered = event(sender, 'delivered')
  good = 'abc-secret-token'
  assert.equal((await delivered).id, 'm')
})

for (const [what, wrap] of [
  ['a function', (token) => token],
  ['an async function', async (token) => token],
]) {
  test(`accessToken: ${what} is called when a token is needed, and after a 401`, async (t) => {
    let good = 'token-1'
    let calls = 0
    const { url, tokens } = await api(t, (token) => token === good)
    const credentials = {
      accessToken() {
        assert.equal(this, credentials)
        calls += 1
        return wrap(`token-${calls}`)
      },
    }
    const sender = await open(t, url, { credentials })
    await Promise.all(Array.from({ length: 20 }, (_, index) => sender.send(message(`m${index}`))))
    assert.equal(calls, 1)
    good = 'token-2'
    const receipt = await sender.send(message('after'))
    assert.equal(receipt.attempts, 1)
    assert.equal(calls, 2)
    assert.deepEqual(tokens.slice(-2), ['token-1', 'token-2'])
  })
}

for (const [what, accessToken] of [
  ['gives nothing', () => undefined],
  ['gives an object', () => ({ token: 'a-secret-in-an-object' })],
  ['gives an empty text', () => ''],
  ['gives a line break', () => 'a-secret\r\nx: y'],
]) {
  test(`accessToken: a function that ${what}: the message stays, and outage says why`, { timeout: LIMIT_MS }, async (t) => {
    const { url, tokens } = await api(t, () => true)
    let fails = true
    const sender = await open(t, url, { credentials: { accessToken: () => (fails ? accessToken() : 'good') } })
    const opened = event(sender, 'outage')
    const error = await failure(sender.send(message('m')))
    assert.deepEqual([error.name, error.code, error.messageId], ['AuthError', 'AUTH_REJECTED', 'm'])
    assert.match(error.message, /accessToken/)
    const outage = await opened
    assert.deepEqual([outage.reason, outage.open], ['auth', true])
    assertSecretFree([error, outage], ['a-secret'])
    assert.equal(sender.stats().queue.messages, 1)
    const delivered = event(sender, 'delivered')
    fails = false
    assert.equal((await delivered).id, 'm')
    assert.deepEqual(tokens, ['good'])
  })
}

test('no secret is in any error, event, explanation or number', { timeout: LIMIT_MS }, async (t) => {
  const secrets = [
    CREDENTIALS.clientSecret,
    Buffer.from(`${CREDENTIALS.clientId}:${CREDENTIALS.clientSecret}`).toString('base64'),
    'a very private text',
  ]
  const simulator = await simulate(t, {
    script: [
      { request: 1, status: 400 },
      { request: 2, fault: 'cutAfter' },
      { request: 3, fault: 'garbage' },
      { request: 4, status: 429 },
    ],
    retryAfter: 'zero',
  })
  const sender = await open(t, simulator, { retry: { maxAttempts: 1, ambiguous: 'fail' } })
  const said = []
  for (const name of ['throttled', 'resumed', 'deadLetter', 'outage']) sender.on(name, (payload) => said.push(payload))
  const body = { text: 'a very private text' }
  for (let index = 0; index < 5; index += 1) {
    const outcome = await sender.send({ id: `m${index}`, conversationId: 'c', body }).catch((error) => error)
    said.push(outcome instanceof Error ? [outcome, outcome.message, outcome.stack] : outcome)
  }
  const throttled = ignore(sender.send({ id: 'waits', conversationId: 'c', body, notBefore: Date.now() + 600_000 }))
  said.push(await sender.explain('waits'), sender.stats())
  assertSecretFree(said, secrets)
  assert.ok(said.length >= 9)
  await simulator.set({ refuse: true })
  const refused = await failure(sender.send({ id: 'refused', conversationId: 'd', body }))
  assertSecretFree(refused, secrets)
  assert.equal(refused.message.includes('127.0.0.1:'), false, 'the address may hold ids of the path')
  ignore(throttled)
})

test('a second sender with other options is told which one differs', async (t) => {
  const simulator = await simulate(t)
  const options = optionsFor(simulator, { queue: { maxMessages: 10 } })
  const sender = await Sender.open(options)
  defer(t, () => sender.close({ timeoutMs: 0 }))
  for (const [field, other] of [
    ['rateLimit.requests', { rateLimit: { requests: 1, perMs: 1_000 } }],
    ['rateLimit.perMs', { rateLimit: { ...options.rateLimit, perMs: 2_000 } }],
    ['queue.maxMessages', { queue: { maxMessages: 11 } }],
    ['queue.whenFull', { queue: { maxMessages: 10, whenFull: 'reject' } }],
    ['retry.maxAttempts', { retry: { maxAttempts: 3 } }],
    ['retry.ambiguous', { retry: { ambiguous: 'fail' } }],
    ['connections.max', { connections: { max: 2 } }],
    ['ordering', { ordering: 'none' }],
    ['route', { route: 'agentless' }],
    ['apiUrl', { apiUrl: 'http://127.0.0.1:9' }],
    ['dedupeMs', { dedupeMs: 5 }],
    ['credentials', { credentials: WRONG }],
    ['credentials', { credentials: { accessToken: 'abc-secret-token' } }],
  ]) {
    const error = await failure(Sender.open({ ...options, ...other }))
    assert.ok(error instanceof ConfigError, `${field}: ${error}`)
    assert.deepEqual([error.code, error.field], ['CONFIG_CONFLICT', field])
    assert.match(error.message, new RegExp(field))
    assertSecretFree(error, [WRONG.clientSecret, CREDENTIALS.clientSecret, 'abc-secret-token'])
  }
  // Equal options, defaults spelt out, are no conflict; nor is another organization.
  const twin = await Sender.open({ ...options, retry: { maxAttempts: 10 }, ordering: 'conversation' })
  await twin.close()
  const other = await Sender.open({ ...options, organization: `${options.organization} 2`, ordering: 'none' })
  await other.close()
})

test('options may change once the last sender has closed', async (t) => {
  const simulator = await simulate(t)
  const options = optionsFor(simulator)
  const first = await Sender.open(options)
  await first.close()
  const second = await Sender.open({ ...options, ordering: 'none' })
  defer(t, () => second.close({ timeoutMs: 0 }))
  assert.equal((await second.send(message('m'))).status, 200)
})
