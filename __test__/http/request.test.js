'use strict'

// sender.request: any other API call, inside the same budget.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { test } = require('node:test')

const { DeliveryError } = require('../../index.js')
const { answerJson, collect, defer, failure, ignore, message, open, serve, simulate, textOf, until } = require('./support.js')

const credentials = { accessToken: 'token' }

/** A server that answers with what it got. */
async function echo(t) {
  return serve(t, async (request, response) => {
    const { method, url, headers } = request
    answerJson(response, 200, { method, url, headers, body: await textOf(request) })
  })
}

test('every method', async (t) => {
  const sender = await open(t, (await echo(t)).url, { credentials })
  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    const { status, body } = await sender.request({ method, path: '/x' })
    assert.deepEqual([status, body.method, body.url, body.body], [200, method, '/x', ''])
    assert.equal(body.headers.authorization, 'Bearer token')
    const length = ['POST', 'PUT', 'PATCH'].includes(method) ? '0' : undefined
    assert.deepEqual([body.headers['content-length'], body.headers['transfer-encoding']], [length, undefined], method)
  }
  const head = await sender.request({ method: 'HEAD', path: '/x' })
  assert.equal(head.status, 200)
  assert.equal(head.headers['content-type'], 'application/json')
})

test('path and query', async (t) => {
  const sender = await open(t, (await echo(t)).url, { credentials })
  const url = async (request) => (await sender.request({ method: 'GET', ...request })).body.url
  assert.equal(await url({ path: '/a%20b/c?d=e' }), '/a%20b/c?d=e')
  assert.equal(await url({ path: '/a', query: {} }), '/a')
  assert.equal(
    await url({ path: '/a', query: { text: 'ä &=?#/', number: 1.5, yes: true, list: ['x', 'y z'], none: [], not: undefined } }),
    '/a?text=%C3%A4%20%26%3D%3F%23%2F&number=1.5&yes=true&list=x&list=y%20z',
  )
  assert.equal(await url({ path: '/a?b=1', query: { c: '2' } }), '/a?b=1&c=2')
})

test('a base URL with a path keeps it', async (t) => {
  const { url } = await echo(t)
  const sender = await open(t, url, { credentials, apiUrl: `${url}/gateway/` })
  assert.equal((await sender.request({ method: 'GET', path: '/x' })).body.url, '/gateway/x')
})

test('headers', async (t) => {
  const sender = await open(t, (await echo(t)).url, { credentials })
  const { body } = await sender.request({ method: 'GET', path: '/', headers: { 'X-Mine': 'a value', Accept: 'text/plain' } })
  assert.equal(body.headers['x-mine'], 'a value')
  assert.equal(body.headers.accept, 'text/plain')
})

test('bodies: JSON, text, bytes, none, and a content type of the caller', async (t) => {
  const sender = await open(t, (await echo(t)).url, { credentials })
  const sent = async (request) => {
    const { headers, body } = (await sender.request({ method: 'POST', path: '/', ...request })).body
    return [headers['content-type'], body]
  }
  assert.deepEqual(await sent({ body: { a: 'ü', b: [null] } }), ['application/json', '{"a":"ü","b":[null]}'])
  assert.deepEqual(await sent({ body: null }), ['application/json', 'null'])
  assert.deepEqual(await sent({ body: [] }), ['application/json', '[]'])
  assert.deepEqual(await sent({ body: 'grüße' }), ['text/plain; charset=utf-8', 'grüße'])
  assert.deepEqual(await sent({ body: Buffer.from('bytes') }), ['application/octet-stream', 'bytes'])
  assert.deepEqual(await sent({ body: new Uint8Array([65]) }), ['application/octet-stream', 'A'])
  assert.deepEqual(await sent({}), [undefined, ''])
  assert.deepEqual(await sent({ body: 'a=b', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }), [
    'application/x-www-form-urlencoded',
    'a=b',
  ])
})

test('the answer: names in lower case, repeated headers joined, the body by its type', async (t) => {
  const { url } = await serve(t, (request, response) => {
    const type = { '/json': 'application/json', '/problem': 'application/problem+json; charset=utf-8' }[request.url] ?? 'text/plain'
    response.writeHead(
      200,
      [
        ['X-Two', 'a'],
        ['Content-Type', type],
        ['X-Two', 'b'],
        ['X-CASE', 'C'],
      ].flat(),
    )
    response.end(request.url === '/empty' ? '' : '{"n":1}')
  })
  const sender = await open(t, url, { credentials })
  const json = await sender.request({ method: 'GET', path: '/json' })
  assert.deepEqual(json.body, { n: 1 })
  assert.equal(json.headers['x-two'], 'a, b')
  assert.equal(json.headers['x-case'], 'C')
  assert.deepEqual(Object.keys(json).sort(), ['body', 'headers', 'status', 'statusText'])
  assert.deepEqual((await sender.request({ method: 'GET', path: '/problem' })).body, { n: 1 })
  assert.equal((await sender.request({ method: 'GET', path: '/text' })).body, '{"n":1}')
  assert.equal((await sender.request({ method: 'GET', path: '/empty' })).body, null)
})

test('204 and other 2xx', async (t) => {
  const { url } = await serve(t, (_request, response) => response.writeHead(204).end())
  const sender = await open(t, url, { credentials })
  const { status, body } = await sender.request({ method: 'DELETE', path: '/x' })
  assert.deepEqual([status, body], [204, null])
})

test('404 is a DeliveryError with status and body, and no dead letter', async (t) => {
  const simulator = await simulate(t)
  const sender = await open(t, simulator)
  const error = await failure(sender.request({ method: 'GET', path: '/api/v2/nowhere' }))
  assert.ok(error instanceof DeliveryError)
  assert.deepEqual(
    { ...error },
    {
      code: 'DELIVERY_REJECTED',
      reason: 'rejected',
      status: 404,
      attempts: 1,
      messageId: null,
      ambiguous: false,
    },
  )
  assert.equal(error.response.status, 404)
  assert.deepEqual(await collect(sender.deadLetters()), [])
  const { counters, queue } = sender.stats()
  assert.deepEqual([counters.deadLetters, counters.accepted, queue.messages], [0, 0, 0])
})

test('a real route of the API', async (t) => {
  const simulator = await simulate(t, { quota: { requests: 300, perMs: 60_000 } })
  const sender = await open(t, simulator)
  const { body } = await sender.request({
    method: 'GET',
    path: '/api/v2/organizations/limits/namespaces/platform.api',
    query: { pageSize: 25 },
  })
  assert.deepEqual(body.entities, [{ key: 'org.requests.rate.per.minute', namespace: 'platform.api', value: 300 }])
})

test('429 and 401 spend no attempt', async (t) => {
  const simulator = await simulate(t, {
    script: [
      { request: 1, status: 401 },
      { request: 2, status: 429 },
    ],
    retryAfter: 'zero',
    headers: 'none',
  })
  const sender = await open(t, simulator)
  const { status } = await sender.request({ method: 'GET', path: '/api/v2/users/me' })
  assert.equal(status, 200)
  const { requests, throttled, tokenRequests } = sender.stats().counters
  assert.deepEqual({ requests, throttled, tokenRequests }, { requests: 3, throttled: 1, tokenRequests: 2 })
})

test('GET is tried again on 503', async (t) => {
  const simulator = await simulate(t, {
    script: [
      { request: 1, status: 503 },
      { request: 2, status: 503 },
    ],
  })
  const sender = await open(t, simulator)
  const { status } = await sender.request({ method: 'GET', path: '/api/v2/users/me' })
  assert.equal(status, 200)
  assert.equal(simulator.ledger().arrivals, 3)
})

test('retries end at maxAttempts, with status and body', async (t) => {
  const simulator = await simulate(t, { faults: { status503: 1 } })
  const sender = await open(t, simulator, { retry: { maxAttempts: 2 } })
  const error = await failure(sender.request({ method: 'GET', path: '/api/v2/users/me' }))
  assert.deepEqual([error.code, error.status, error.attempts, error.messageId], ['DELIVERY_EXHAUSTED', 503, 2, null])
})

test("with ambiguous 'fail' a POST isn't repeated after a cut; with 'retry' it is, and a GET always", async (t) => {
  const { url } = await serve(t, (request) => request.socket.destroy())
  const fail = await open(t, url, { credentials, retry: { ambiguous: 'fail', maxAttempts: 2 } })
  const retry = await open(t, url, { credentials, retry: { ambiguous: 'retry', maxAttempts: 2 } })
  for (const method of ['POST', 'PATCH']) {
    const error = await failure(fail.request({ method, path: '/', body: {} }))
    assert.deepEqual([error.code, error.ambiguous, error.attempts, error.status], ['DELIVERY_AMBIGUOUS', true, 1, null])
    const repeated = await failure(retry.request({ method, path: '/', body: {} }))
    assert.deepEqual([repeated.code, repeated.ambiguous, repeated.attempts], ['DELIVERY_EXHAUSTED', true, 2])
  }
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']) {
    // One sender would take all of this for an outage, in which few attempts are soon over.
    const other = await open(t, url, { credentials, retry: { ambiguous: 'fail', maxAttempts: 2 } })
    const repeated = await failure(other.request({ method, path: '/' }))
    assert.deepEqual([repeated.code, repeated.attempts], ['DELIVERY_EXHAUSTED', 2], method)
  }
})

test("an answer that is cut in its body is none: a GET is repeated, a POST isn't, since it is done", async (t) => {
  let requests = 0
  const { url } = await serve(t, (request, response) => {
    requests += 1
    request.resume()
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 100 })
    response.write('{"half":', () => request.socket.destroy())
  })
  const sender = await open(t, url, { credentials, retry: { ambiguous: 'retry', maxAttempts: 3 } })
  const get = await failure(sender.request({ method: 'GET', path: '/' }))
  assert.deepEqual([get.code, get.status, get.attempts, get.response], ['DELIVERY_EXHAUSTED', 200, 3, '{"half":'])
  const post = await failure(sender.request({ method: 'POST', path: '/', body: {} }))
  assert.deepEqual([post.code, post.status, post.attempts, post.ambiguous], ['DELIVERY_AMBIGUOUS', 200, 1, true])
  assert.equal(requests, 4)
})

test('timeoutMs is its own, whatever requestTimeoutMs is', async (t) => {
  const { url } = await serve(t, (request, response) => {
    request.resume()
    if (request.url === '/connected') response.end()
  })
  const sender = await open(t, url, { credentials, retry: { maxAttempts: 1 }, connections: { requestTimeoutMs: 600_000 } })
  // On its connection the next one is sent at once: it's the answer that takes too long.
  await sender.request({ method: 'GET', path: '/connected' })
  const error = await failure(sender.request({ method: 'GET', path: '/', timeoutMs: 250 }))
  assert.deepEqual([error.code, error.status, error.ambiguous], ['DELIVERY_EXHAUSTED', null, true])
  assert.match(error.message, /250 ms/)

  const patient = await serve(t, (request, response) => {
    request.resume()
    setTimeout(() => response.end('late'), 200)
  })
  const hasty = await open(t, patient.url, { credentials, connections: { requestTimeoutMs: 10 } })
  assert.equal((await hasty.request({ method: 'GET', path: '/', timeoutMs: 60_000 })).body, 'late')
})

test('maxResponseBytes: up to it is read, one more is an error', async (t) => {
  const { url } = await serve(t, (request, response) => {
    request.resume()
    response.end('x'.repeat(1_000))
  })
  const sender = await open(t, url, { credentials })
  assert.equal((await sender.request({ method: 'GET', path: '/', maxResponseBytes: 1_000 })).body.length, 1_000)
  const error = await failure(sender.request({ method: 'GET', path: '/', maxResponseBytes: 999 }))
  assert.ok(error instanceof DeliveryError)
  assert.deepEqual([error.code, error.status, error.attempts], ['DELIVERY_RESPONSE_TOO_LARGE', 200, 1])
})

test('an abort while it waits, and one in flight, which cuts it', async (t) => {
  const arrived = []
  const { server, url } = await serve(t, (request) => {
    request.resume()
    arrived.push(request.socket)
  })
  const sender = await open(t, url, { credentials, connections: { max: 1 } })
  const first = new AbortController()
  const second = new AbortController()
  const inFlight = failure(sender.request({ method: 'POST', path: '/', body: {} }, { signal: first.signal }))
  await until(() => arrived.length === 1)
  const waiting = failure(sender.request({ method: 'GET', path: '/second' }, { signal: second.signal }))
  await until(() => sender.stats().queue.messages === 2)
  second.abort(new Error('no longer wanted'))
  assert.equal((await waiting).message, 'no longer wanted')
  await until(() => sender.stats().queue.messages === 1)

  const cut = arrived[0].destroyed ? Promise.resolve() : once(arrived[0], 'close')
  first.abort()
  assert.equal((await inFlight).name, 'AbortError')
  await cut
  await until(() => sender.stats().queue.messages === 0)
  assert.equal(arrived.length, 1)
  assert.equal(sender.stats().queue.inFlight, 0)

  const before = await failure(sender.request({ method: 'GET', path: '/' }, { signal: AbortSignal.abort(new Error('at once')) }))
  assert.equal(before.message, 'at once')
  server.closeAllConnections?.()
})

test('expiresInMs', async (t) => {
  const simulator = await simulate(t)
  const sender = await open(t, simulator, { rateLimit: { requests: 1, perMs: 600_000 } })
  await sender.send(message('takes the whole budget'))
  const error = await failure(sender.request({ method: 'GET', path: '/api/v2/users/me', expiresInMs: 20 }))
  assert.deepEqual([error.name, error.code], ['ExpiredError', 'EXPIRED'])
  assert.equal(simulator.ledger().arrivals, 1)
})

test('retry: false makes one attempt; maxAttempts of a call goes before that of the sender', async (t) => {
  const simulator = await simulate(t, { faults: { status500: 1 } })
  const sender = await open(t, simulator, { retry: { maxAttempts: 3 } })
  const attempts = async (retry) => (await failure(sender.request({ method: 'POST', path: '/api/v2/x', body: {}, retry }))).attempts
  assert.deepEqual([await attempts(false), await attempts({ maxAttempts: 2 }), await attempts(undefined)], [1, 2, 3])
  assert.equal(simulator.ledger().arrivals, 6)
})

test('deadlineMs ends a request in the queue and on the wire, with what is known of it', async (t) => {
  const { url, server } = await serve(t, (request) => request.resume())
  const sender = await open(t, url, { credentials, connections: { max: 1 } })
  const arrived = once(server, 'request')
  const call = (deadlineMs) => failure(sender.request({ method: 'POST', path: '/', body: {}, deadlineMs }))
  const sent = call(1_500)
  await arrived
  const queued = await call(10)
  const fields = ({ name, code, reason, status, attempts, ambiguous }) => ({ name, code, reason, status, attempts, ambiguous })
  const common = { name: 'DeliveryError', code: 'DELIVERY_TIMEOUT', reason: 'timeout', status: null }
  assert.deepEqual(fields(queued), { ...common, attempts: 0, ambiguous: false })
  assert.deepEqual(fields(await sent), { ...common, attempts: 1, ambiguous: true })
  assert.equal(sender.stats().queue.messages, 0)
})

test("idempotent decides whether an unknown outcome is repeated, whatever 'ambiguous' says", async (t) => {
  const { url } = await serve(t, (request) => request.socket.destroy())
  for (const ambiguous of ['retry', 'fail']) {
    const sender = await open(t, url, { credentials, retry: { ambiguous, maxAttempts: 2 } })
    for (const method of ['POST', 'GET']) {
      const repeated = await failure(sender.request({ method, path: '/', idempotent: true }))
      assert.deepEqual([repeated.code, repeated.attempts], ['DELIVERY_EXHAUSTED', 2], method)
      const once = await failure(sender.request({ method, path: '/', idempotent: false }))
      assert.deepEqual([once.code, once.ambiguous, once.attempts], ['DELIVERY_AMBIGUOUS', true, 1], method)
    }
  }
})

test('requests and messages share one budget', async (t) => {
  const simulator = await simulate(t, { quota: { requests: 10, perMs: 200, algorithm: 'sliding-log' } })
  const sender = await open(t, simulator, { rateLimit: { requests: 10, perMs: 200 } })
  const calls = Array.from({ length: 20 }, () => sender.request({ method: 'GET', path: '/api/v2/users/me' }))
  const sends = Array.from({ length: 20 }, (_, index) => sender.send(message(`m${index}`)))
  await Promise.all([...calls, ...sends])
  const { mostInWindow, refused, accepted } = simulator.ledger()
  assert.deepEqual({ refused, accepted }, { refused: 0, accepted: 40 })
  assert.ok(mostInWindow <= 10, `mostInWindow ${mostInWindow}`)
})

test('requests and messages share one order of priority', async (t) => {
  const order = []
  let release
  const held = new Promise((resolve) => (release = resolve))
  defer(t, () => release())
  const { url } = await serve(t, async (request, response) => {
    const name = request.headers['x-name'] ?? JSON.parse(await textOf(request)).id
    order.push(name)
    if (name === 'first') await held
    answerJson(response, 200, {})
  })
  const sender = await open(t, url, { credentials, connections: { max: 1 } })
  const sends = [sender.send(message('first'))]
  await until(() => order.length === 1)
  const call = (name, priority) => sender.request({ method: 'GET', path: '/', priority, headers: { 'x-name': name } })
  sends.push(
    sender.send(message('message 0')),
    call('call 0'),
    call('call -1', -1),
    sender.send(message('message 7', undefined, { priority: 7 })),
    call('call 9', 9),
    sender.send(message('message -100', undefined, { priority: -100 })),
    call('call 100', 100),
  )
  await until(() => sender.stats().queue.messages === sends.length)
  release()
  await Promise.all(sends)
  assert.deepEqual(order, ['first', 'call 100', 'call 9', 'message 7', 'message 0', 'call 0', 'call -1', 'message -100'])
})

test('requests do not wait for each other as messages of a conversation do', async (t) => {
  const held = []
  const { url } = await serve(t, (request, response) => {
    request.resume()
    held.push(response)
  })
  const sender = await open(t, url, { credentials })
  const calls = Array.from({ length: 10 }, () => sender.request({ method: 'GET', path: '/' }))
  await until(() => held.length === 10)
  for (const response of held) answerJson(response, 200, {})
  await Promise.all(calls)
})

test('requests that are under way when the sender closes', async (t) => {
  const { url } = await serve(t, (request) => request.resume())
  const sender = await open(t, url, { credentials })
  const pending = failure(sender.request({ method: 'GET', path: '/' }))
  ignore(pending)
  await until(() => sender.stats().queue.inFlight === 1)
  assert.deepEqual(await sender.close({ timeoutMs: 0 }), { undelivered: 1 })
  assert.equal((await pending).code, 'CLOSED')
  assert.equal((await failure(sender.request({ method: 'GET', path: '/' }))).code, 'CLOSED')
})
