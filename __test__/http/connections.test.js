'use strict'

// Which connection a request takes: not one that died silently with others, nor one that the server is about to close.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { test } = require('node:test')

const { message, onRequests, open, serveRaw } = require('./support.js')

const credentials = { accessToken: 'token' }
const CONNECTIONS = 12

/** A server that answers `onRequest(socket, text)`; it lists its sockets. */
async function counting(t, onRequest) {
  const sockets = []
  const server = await serveRaw(t, (socket) => {
    sockets.push(socket)
    onRequests(socket, () => onRequest(socket))
  })
  return { ...server, sockets }
}

const ok = (headers = '') => `HTTP/1.1 200 OK\r\n${headers}content-length: 2\r\n\r\n{}`

for (const [what, dead] of [
  ['died silently', () => {}],
  ['are reset by the next request', (socket) => socket.destroy()],
]) {
  test(`of many idle connections that ${what}, one request tries one`, async (t) => {
    const waiting = []
    let old = new Set()
    let tried = 0
    const { url, sockets } = await counting(t, (socket) => {
      if (old.has(socket)) {
        tried += 1
        return dead(socket)
      }
      if (old.size > 0) return socket.write(ok())
      // All together, so that each takes a connection of its own.
      waiting.push(socket)
      if (waiting.length === CONNECTIONS) waiting.forEach((each) => each.write(ok()))
    })
    const sender = await open(t, url, { credentials, connections: { requestTimeoutMs: 1_000 } })
    await Promise.all(Array.from({ length: CONNECTIONS }, (_, i) => sender.send(message(`m${i}`))))
    assert.equal(sockets.length, CONNECTIONS)
    old = new Set(sockets)
    const receipt = await sender.send(message('late'))
    assert.deepEqual([receipt.status, receipt.attempts, tried], [200, 2, 1])
    const later = await sender.send(message('later'))
    assert.deepEqual([later.status, later.attempts, tried], [200, 1, 1])
    assert.equal(sockets.length, CONNECTIONS + 1, 'the new connection serves on')
  })
}

for (const [what, headers, body, isReused] of [
  ['says nothing', 'content-length: 2\r\n', '{}', true],
  ['announces a minute', 'keep-alive: timeout=60\r\ncontent-length: 2\r\n', '{}', true],
  ['announces no time at all', 'keep-alive: timeout=0\r\ncontent-length: 2\r\n', '{}', false],
  ['frames its body twice', 'transfer-encoding: chunked\r\ncontent-length: 2\r\n', '2\r\n{}\r\n0\r\n\r\n', false],
  ['says that it closes', 'connection: close\r\ncontent-length: 2\r\n', '{}', false],
]) {
  test(`a connection whose answer ${what} is ${isReused ? '' : 'not '}used again`, async (t) => {
    const { url, sockets } = await counting(t, (socket) => socket.write(`HTTP/1.1 200 OK\r\n${headers}\r\n${body}`))
    const sender = await open(t, url, { credentials })
    for (const id of ['a', 'b', 'c']) {
      const receipt = await sender.send(message(id))
      assert.deepEqual([receipt.status, receipt.attempts, receipt.body], [200, 1, {}])
    }
    assert.equal(sockets.length, isReused ? 1 : 3)
  })
}

test('a request that was not sent on a connection that the server closed is no attempt', async (t) => {
  const { url, sockets } = await counting(t, (socket) => socket.write(ok()))
  const sender = await open(t, url, { credentials })
  await sender.send(message('a'))
  const closed = new Promise((resolve) => sockets[0].once('close', resolve))
  sockets[0].end()
  await closed
  const receipt = await sender.send(message('b'))
  assert.deepEqual([receipt.status, receipt.attempts, sockets.length], [200, 1, 2])
})

test('an idle connection is closed when its time is over, though nothing else happens', async (t) => {
  // A second less, and at most a second later.
  const { url, sockets } = await counting(t, (socket) => socket.write(ok('keep-alive: timeout=2\r\n')))
  const sender = await open(t, url, { credentials })
  await sender.send(message('a'))
  await once(sockets[0], 'end')
  assert.equal((await sender.send(message('b'))).attempts, 1)
  assert.equal(sockets.length, 2)
})

test('a connection to the login host is closed when it has brought a token', async (t) => {
  const sockets = []
  const server = await serveRaw(t, (socket) => {
    sockets.push(socket)
    const token = '{"access_token":"token","expires_in":86400}'
    onRequests(socket, () => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${token.length}\r\n\r\n${token}`))
  })
  const sender = await open(t, server.url)
  const sent = sender.send(message('a'))
  const [[login]] = await Promise.all([once(server.server, 'connection'), sent])
  if (!login.readableEnded) await once(login, 'end')
  assert.equal(sockets.length, 2, 'the login host and the API')
  assert.equal(sockets[1].readableEnded, false, "the API's is kept")
})
