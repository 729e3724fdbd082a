'use strict'

// What crosses in heads: bytes beyond ASCII, many headers, status texts, byte order marks, and what comes before a head.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const axios = require('axios')

const { createAdapter } = require('spillway/axios')
const { createFetch } = require('spillway/fetch')
const { collect, failure, message, open, serve, serveRaw } = require('./support.js')

const credentials = { accessToken: 'token' }
const call = { method: 'GET', path: '/' }
const UTF8_NAME = 'attachment; filename="報告.pdf"'
/** Every byte that a header value may hold, as text. */
const ALL_BYTES = String.fromCharCode(
  0x61,
  0x09,
  ...Array.from({ length: 0x5f }, (_, i) => 0x20 + i),
  ...Array.from({ length: 0x80 }, (_, i) => 0x80 + i),
)

/** A server of bare TCP that answers each request, whose bytes it is given as Latin-1, with bytes in Latin-1. */
function answering(t, answer) {
  let requests = 0
  return serveRaw(t, (socket) => {
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      const [head, body] = text.split('\r\n\r\n')
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
      if (body === undefined || body.length < length) return
      text = ''
      answer(socket, head, (requests += 1))
    })
  })
}

/** An answer with a length. */
function whole(status, headers, body = '') {
  return Buffer.from(`HTTP/1.1 ${status}\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`, 'latin1')
}

test('a header is Latin-1 for every reader: request, fetch, axios, and as Node reads it', async (t) => {
  const utf8 = Buffer.from(UTF8_NAME).toString('latin1')
  let accepted = 0
  const { url } = await answering(t, (socket) => {
    accepted += 1
    socket.write(whole('200 OK', `content-disposition: ${utf8}\r\nx-all: ${ALL_BYTES}\r\n`, '{}'))
  })
  const sender = await open(t, url, { credentials })
  const node = (await fetch(url)).headers
  assert.equal(node.get('content-disposition'), utf8)
  const read = [
    (await sender.request(call)).headers,
    Object.fromEntries((await createFetch(sender)(url, { method: 'POST', body: 'x' })).headers),
    { ...(await axios.post(url, {}, { adapter: createAdapter(sender) })).headers },
  ]
  for (const headers of read) {
    assert.equal(headers['content-disposition'], node.get('content-disposition'))
    assert.equal(headers['x-all'], node.get('x-all'))
  }
  assert.equal(accepted, 4)
})

test('a correlation id beyond ASCII is read as Latin-1, in receipts and dead letters', async (t) => {
  const { url } = await answering(t, (socket, head, count) => {
    socket.write(whole(count === 1 ? '200 OK' : '400 Bad Request', `inin-correlation-id: Zo\xeb-${count}\r\n`, '{}'))
  })
  const sender = await open(t, url, { credentials })
  assert.equal((await sender.send(message('a'))).correlationId, 'Zoë-1')
  const error = await failure(sender.send(message('b')))
  assert.deepEqual([error.code, error.status], ['DELIVERY_REJECTED', 400])
  assert.equal((await collect(sender.deadLetters())).length, 1)
})

test("a caller's header reaches the server byte for byte", async (t) => {
  const seen = []
  const { url } = await answering(t, (socket, head) => {
    seen.push(/^x-name: (.*)$/im.exec(head)?.[1])
    socket.write(whole('200 OK', '', '{}'))
  })
  const sender = await open(t, url, { credentials })
  await sender.request({ ...call, headers: { 'x-name': ALL_BYTES } })
  await createFetch(sender)(url, { headers: { 'x-name': 'Zoë' } })
  await axios.get(url, { adapter: createAdapter(sender), headers: { 'x-name': 'Zoë' } })
  assert.deepEqual(seen, [ALL_BYTES, 'Zoë', 'Zoë'])
})

for (const count of [101, 500, 2_000]) {
  test(`an answer of ${count} headers delivers its message once`, async (t) => {
    let accepted = 0
    // Two more are the length and the one of the id.
    const many = `${Array.from({ length: count - 2 }, (_, i) => `x-${i}: ${i}\r\n`).join('')}inin-correlation-id: last\r\n`
    const { url } = await answering(t, (socket) => {
      accepted += 1
      socket.write(whole('200 OK', many, '{}'))
    })
    const sender = await open(t, url, { credentials })
    const receipt = await sender.send(message('m'))
    assert.deepEqual([receipt.status, receipt.attempts, receipt.correlationId], [200, 1, 'last'])
    assert.equal(accepted, 1)
    const { headers } = await sender.request(call)
    assert.equal(Object.keys(headers).length, count)
    assert.equal(headers[`x-${count - 3}`], String(count - 3))
  })
}

for (const [line, status, statusText] of [
  ['HTTP/1.1 200 OK', 200, 'OK'],
  ['HTTP/1.1 200 Alles in Ordnung', 200, 'Alles in Ordnung'],
  ['HTTP/1.1 204 No Content', 204, 'No Content'],
  ['HTTP/1.1 299 Almost', 299, 'Almost'],
  ['HTTP/1.1 200 ', 200, ''],
  ['HTTP/1.1 200', 200, ''],
  ['HTTP/1.0 201 Made', 201, 'Made'],
]) {
  test(`"${line}" has the status text "${statusText}"`, async (t) => {
    const { url } = await answering(t, (socket) => socket.end(`${line}\r\n${status === 204 ? '' : 'content-length: 0\r\n'}\r\n`))
    const sender = await open(t, url, { credentials })
    const answer = await sender.request(call)
    assert.deepEqual([answer.status, answer.statusText], [status, statusText])
    const fetched = await createFetch(sender)(url)
    assert.deepEqual([fetched.status, fetched.statusText], [status, statusText])
    const got = await axios.get(url, { adapter: createAdapter(sender) })
    assert.deepEqual([got.status, got.statusText], [status, statusText])
  })
}

test('a byte order mark is no part of JSON and of text', async (t) => {
  const { url } = await serve(t, (request, response) => {
    request.resume()
    const type = request.url === '/text' ? 'text/plain' : 'application/json'
    const body = request.url === '/text' ? 'grüße' : request.url === '/empty' ? '' : '{"ok":true}'
    response.writeHead(request.url === '/refused' ? 400 : 200, { 'content-type': type })
    response.end(`\ufeff${body}`)
  })
  const sender = await open(t, url, { credentials, route: { path: '/messages' } })
  assert.deepEqual((await sender.send(message('m'))).body, { ok: true })
  assert.deepEqual((await sender.request(call)).body, { ok: true })
  assert.equal((await sender.request({ ...call, path: '/text' })).body, 'grüße')
  assert.equal((await sender.request({ ...call, path: '/empty' })).body, null)
  assert.deepEqual((await failure(sender.request({ ...call, path: '/refused' }))).response, { ok: true })
  // The adapters' callers get the bytes as they came, and decode them as they do by themselves.
  assert.equal((await (await createFetch(sender)(`${url}/text`)).arrayBuffer()).byteLength, Buffer.byteLength('\ufeffgrüße'))
})

test('interim answers before an answer are passed over', async (t) => {
  const { url } = await answering(t, (socket) => {
    socket.write('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n')
    socket.write(`${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(1_000)}`)
    socket.write(whole('200 OK', '', '{"done":1}'))
  })
  const sender = await open(t, url, { credentials })
  const receipt = await sender.send(message('m'))
  assert.deepEqual([receipt.status, receipt.body, receipt.attempts], [200, { done: 1 }, 1])
})

test('interim answers without end are cut, and others are served meanwhile', async (t) => {
  const { url } = await answering(t, (socket) => {
    const more = 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(2_000)
    const pour = () => {
      while (!socket.destroyed && socket.write(more));
    }
    socket.on('drain', pour)
    pour()
  })
  const { url: good } = await answering(t, (socket) => socket.write(whole('200 OK', '', '{}')))
  const [sender, other] = [await open(t, url, { credentials, retry: { ambiguous: 'fail' } }), await open(t, good, { credentials })]
  const [error, receipt] = await Promise.all([failure(sender.send(message('m'))), other.send(message('m'))])
  assert.deepEqual([error.code, error.status, error.ambiguous], ['DELIVERY_AMBIGUOUS', null, true])
  // By its limit, not by its time.
  assert.match(error.message, /ahead of the answer/)
  assert.equal(receipt.status, 200)
})
