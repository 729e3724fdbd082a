'use strict'

// Where an answer ends: chunks, trailers, and lengths that lie. An answer is never mixed with the next one, and one that
// can't be read to its end is reported as incomplete.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { failure, message, onRequests, open, serveRaw } = require('./support.js')

const LIMIT_MS = 30_000
const credentials = { accessToken: 'token' }
const call = { method: 'GET', path: '/' }
const NEXT = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\nnext'
const SMUGGLED = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 8\r\n\r\nsmuggled'

/** A server that answers the first request with `first`, further ones with `next`, and closes after the first if it `closes`. */
async function answering(t, first, { closes = false } = {}) {
  const arrived = { requests: 0, connections: 0 }
  const { url } = await serveRaw(t, (socket) => {
    arrived.connections += 1
    onRequests(socket, () => {
      arrived.requests += 1
      if (arrived.requests > 1) socket.write(NEXT)
      else if (closes) socket.end(first, 'latin1')
      else socket.write(first, 'latin1')
    })
  })
  return { url, arrived }
}

const head = (...lines) => ['HTTP/1.1 200 OK', 'content-type: text/plain', ...lines, '', ''].join('\r\n')
const CHUNKED = head('transfer-encoding: chunked')

/** Answers that are whole: the body, and whether their connection may serve the next request. */
const WHOLE = [
  ['in chunks with extensions', `${CHUNKED}3;name=value\r\nhel\r\n2;flag;"q=1\r\nlo\r\n0;last=1\r\n\r\n`, 'hello', true],
  ['in chunks with trailers', `${CHUNKED}5\r\nhello\r\n0\r\nx-sum: 1\r\nx-more: 2\r\n\r\n`, 'hello', true],
  [
    'in chunks with trailers that are no trailers',
    `${CHUNKED}5\r\nhello\r\n0\r\ncontent-length: 99\r\nretry-after: 9\r\n\r\n`,
    'hello',
    true,
  ],
  ['in chunks of one byte, with leading zeros', `${CHUNKED}001\r\na\r\n01\r\nb\r\n0000\r\n\r\n`, 'ab', true],
  ['longer than its length', `${head('content-length: 2')}hello`, 'he', false],
  ['longer than its length by another answer', `${head('content-length: 2')}he${SMUGGLED}`, 'he', false],
  ['of no length with something after it', `HTTP/1.1 204 No Content\r\n\r\n${SMUGGLED}`, '', false],
  ['with a length and chunks', `${head('content-length: 3', 'transfer-encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`, 'hello', false],
  [
    'with a length and chunks, and another answer where the length ends',
    `${head('transfer-encoding: chunked', 'content-length: 15')}5\r\nhello\r\n0\r\n\r\n${SMUGGLED}`,
    'hello',
    false,
  ],
  [
    'after many informational ones',
    `HTTP/1.1 102 Processing\r\n\r\n${'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n'.repeat(20)}${head('content-length: 5')}hello`,
    'hello',
    true,
  ],
  [
    'after an informational one with a length',
    `HTTP/1.1 103 Early Hints\r\ncontent-length: 9\r\n\r\n${head('content-length: 2')}he`,
    'he',
    true,
  ],
]

for (const [what, answer, body, isReused] of WHOLE) {
  test(`an answer ${what} is whole, and the next one is its own`, { timeout: LIMIT_MS }, async (t) => {
    const { url, arrived } = await answering(t, answer)
    const sender = await open(t, url, { credentials, retry: { ambiguous: 'fail', maxAttempts: 1 } })
    const answered = await sender.request(call)
    assert.equal(answered.body ?? '', body)
    assert.deepEqual([answered.headers['x-sum'], answered.headers['retry-after']], [undefined, undefined])
    assert.equal((await sender.request(call)).body, 'next')
    assert.equal(arrived.requests, 2)
    assert.equal(arrived.connections, isReused ? 1 : 2)
  })
}

/** Answers that end before their end: what a reader has of the body. */
const CUT = [
  ['shorter than its length', `${head('content-length: 100')}half`, 'half'],
  ['in chunks without the last', `${CHUNKED}4\r\nhalf\r\n`, 'half'],
  ['in chunks, cut in one', `${CHUNKED}100\r\nhalf`, 'half'],
  ['in chunks, one of them of no size', `${CHUNKED}4\r\nhalf\r\nzz\r\nmore\r\n0\r\n\r\n`, 'half'],
  ['in chunks, one of them beyond any size', `${CHUNKED}4\r\nhalf\r\nfffffffffffffffff\r\nmore\r\n0\r\n\r\n`, 'half'],
  ['in chunks, one of them longer than its size', `${CHUNKED}4\r\nhalf and more\r\n0\r\n\r\n`, 'half'],
  ['in chunks, cut in the trailers', `${CHUNKED}4\r\nhalf\r\n0\r\nx-sum: `, 'half'],
]

for (const [what, answer, body] of CUT) {
  test(`an answer ${what} is cut: messages are delivered, a call's outcome is unknown`, { timeout: LIMIT_MS }, async (t) => {
    const { url, arrived } = await answering(t, answer, { closes: true })
    const sender = await open(t, url, { credentials, retry: { ambiguous: 'fail', maxAttempts: 1 } })
    const receipt = await sender.send(message('m'))
    assert.deepEqual([receipt.status, receipt.attempts, receipt.body], [200, 1, body])
    assert.equal((await sender.request(call)).body, 'next')
    assert.equal(arrived.requests, 2)

    const cut = await answering(t, answer, { closes: true })
    const caller = await open(t, cut.url, { credentials, retry: { ambiguous: 'fail', maxAttempts: 2 } })
    const error = await failure(caller.request({ method: 'POST', path: '/', body: {} }))
    assert.deepEqual([error.code, error.status, error.ambiguous], ['DELIVERY_AMBIGUOUS', 200, true])
    assert.equal((await caller.request(call)).body, 'next')
    assert.equal(cut.arrived.requests, 2, 'the POST was not repeated')
  })
}

test('informational answers without end are no answer', { timeout: LIMIT_MS }, async (t) => {
  const { url } = await serveRaw(t, (socket) => {
    socket.once('data', () => {
      const pour = () => {
        while (!socket.destroyed && socket.write('HTTP/1.1 102 Processing\r\n\r\n'.repeat(1_000)));
      }
      socket.on('drain', pour)
      pour()
    })
  })
  const sender = await open(t, url, { credentials, connections: { requestTimeoutMs: 500 }, retry: { ambiguous: 'fail' } })
  const error = await failure(sender.send(message('m')))
  assert.deepEqual([error.code, error.status, error.ambiguous], ['DELIVERY_AMBIGUOUS', null, true])
})

test('an answer before the body is sent counts, and the rest of the body goes nowhere else', { timeout: LIMIT_MS }, async (t) => {
  for (const [status, code] of [
    [200, undefined],
    [400, 'DELIVERY_REJECTED'],
  ]) {
    let connections = 0
    const { url } = await serveRaw(t, (socket) => {
      connections += 1
      const isFirst = connections === 1
      socket.once('data', () => {
        socket.pause()
        if (isFirst) socket.write(`HTTP/1.1 ${status} Early\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nearly`)
        else socket.write(NEXT)
      })
    })
    const sender = await open(t, url, { credentials, retry: { ambiguous: 'fail', maxAttempts: 1 } })
    const post = sender.request({ method: 'POST', path: '/', body: 'x'.repeat(8_000_000) })
    if (code === undefined) assert.equal((await post).status, status)
    else assert.deepEqual([(await failure(post)).code, (await failure(post)).status], [code, status])
    assert.equal((await sender.request(call)).body, 'next')
    assert.equal(connections, 2)
  }
})
