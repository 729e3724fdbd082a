'use strict'

// Servers that break the rules, by mistake or on purpose, and what stands between us and them.

const assert = require('node:assert/strict')
const { SSL_OP_NO_TICKET } = require('node:crypto').constants
const http = require('node:http')
const net = require('node:net')
const { test } = require('node:test')
const tls = require('node:tls')

const { DeliveryError } = require('../../index.js')
const {
  answerJson,
  CA_FILE,
  collect,
  failure,
  inChild,
  listen,
  message,
  open,
  optionsFor,
  serve,
  serveRaw,
  TLS,
  until,
} = require('./support.js')

const credentials = { accessToken: 'token' }
const call = { method: 'GET', path: '/' }
/** Beyond all that is ever kept of an answer to a message. */
const RECEIPT_BYTES_MAX = 65_536

/** A TCP server that answers each request head with `answer(socket)`. */
function answering(t, answer) {
  return serveRaw(t, (socket) => {
    let head = ''
    socket.on('data', (chunk) => {
      head += chunk.toString('latin1')
      // The bodies of these tests are so short that they come with the head.
      if (!head.includes('\r\n\r\n')) return
      head = ''
      answer(socket)
    })
  })
}

for (const [what, bytes] of [
  ['bytes at random', Buffer.from('\x00\xff\x13\x37 this is not HTTP\r\n\r\n', 'latin1')],
  ['the status line of another protocol', 'SIP/2.0 200 OK\r\n\r\n'],
  ['a status that is no number', 'HTTP/1.1 abc OK\r\n\r\n'],
  ['headers without a colon', 'HTTP/1.1 200 OK\r\nno colon here\r\n\r\n'],
  ['two lengths that differ', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'],
  ['a negative length', 'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n'],
  ['nothing', ''],
]) {
  test(`an answer of ${what} is no answer`, async (t) => {
    const { url } = await answering(t, (socket) => socket.end(bytes))
    const sender = await open(t, url, { credentials, retry: { ambiguous: 'fail', maxAttempts: 2 } })
    const error = await failure(sender.send(message('m')))
    assert.ok(error instanceof DeliveryError)
    assert.deepEqual(
      [error.code, error.status, error.attempts, error.ambiguous, error.response],
      ['DELIVERY_AMBIGUOUS', null, 1, true, null],
    )
    const refused = await failure(sender.request(call))
    assert.deepEqual([refused.code, refused.status, refused.attempts], ['DELIVERY_EXHAUSTED', null, 2])
  })
}

test('a header without end is read up to a limit', async (t) => {
  let written = 0
  const { url } = await answering(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nx-endless: ')
    const more = Buffer.alloc(64 * 1024, 'x')
    const pour = () => {
      while (!socket.destroyed && socket.write(more)) written += more.length
    }
    socket.on('drain', pour)
    pour()
  })
  const sender = await open(t, url, { credentials, retry: { ambiguous: 'fail' } })
  const error = await failure(sender.send(message('m')))
  assert.deepEqual([error.code, error.status, error.ambiguous], ['DELIVERY_AMBIGUOUS', null, true])
  // What the sockets' buffers take is the system's; what we would read without a limit has no end.
  assert.ok(written < 64 * 1024 * 1024, `written ${written}`)
})

test('headers without end are read up to a limit', async (t) => {
  const { url } = await answering(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n')
    let index = 0
    const pour = () => {
      while (!socket.destroyed && socket.write(`x-${(index += 1)}: ${'y'.repeat(100)}\r\n`));
    }
    socket.on('drain', pour)
    pour()
  })
  const sender = await open(t, url, { credentials, retry: { ambiguous: 'fail' } })
  const error = await failure(sender.send(message('m')))
  assert.deepEqual([error.code, error.status], ['DELIVERY_AMBIGUOUS', null])
})

/** Answers with a body of 100 MB, or as much of it as anybody reads; tells how much was written. */
async function pouring(t, status, { bytes = 100_000_000, fill = 'x' } = {}) {
  const poured = { bytes: 0 }
  const server = await serve(t, (request, response) => {
    request.resume()
    response.writeHead(status, { 'content-type': 'text/plain', 'content-length': bytes })
    const more = Buffer.alloc(100_000, fill)
    const pour = () => {
      while (poured.bytes < bytes && !response.destroyed) {
        const some = more.subarray(0, bytes - poured.bytes)
        poured.bytes += some.length
        if (!response.write(some)) return
      }
      response.end()
    }
    response.on('drain', pour)
    pour()
  })
  return { ...server, poured }
}

test('an answer of 100 MB to a message is a receipt that holds its start', async (t) => {
  const { url, poured } = await pouring(t, 200)
  const sender = await open(t, url, { credentials })
  const receipt = await sender.send(message('m'))
  assert.deepEqual([receipt.status, receipt.attempts, receipt.body.length], [200, 1, RECEIPT_BYTES_MAX])
  assert.ok(poured.bytes < 100_000_000, `poured ${poured.bytes}`)
})

test('a refusal of 100 MB is a dead letter that holds its start', async (t) => {
  const { url } = await pouring(t, 400)
  const sender = await open(t, url, { credentials })
  const error = await failure(sender.send(message('m')))
  assert.deepEqual([error.code, error.status], ['DELIVERY_REJECTED', 400])
  assert.ok(error.response.length <= RECEIPT_BYTES_MAX, `response ${error.response.length}`)
  const [letter] = await collect(sender.deadLetters())
  assert.ok(letter.response.length > 0 && letter.response.length <= error.response.length)
})

test('an answer of 100 MB to a request is an error', async (t) => {
  const { url, poured } = await pouring(t, 200)
  const sender = await open(t, url, { credentials })
  const error = await failure(sender.request(call))
  assert.deepEqual([error.code, error.status, error.attempts], ['DELIVERY_RESPONSE_TOO_LARGE', 200, 1])
  assert.ok(poured.bytes < 100_000_000, `poured ${poured.bytes}`)
})

test('the largest answer that is allowed arrives, even if each of its bytes is six characters of JSON', async (t) => {
  const bytes = 2 ** 26
  const { url } = await pouring(t, 200, { bytes, fill: '\u0001' })
  const sender = await open(t, url, { credentials })
  const { body } = await sender.request({ ...call, maxResponseBytes: bytes })
  assert.equal(body.length, bytes)
  assert.equal(body.replaceAll('\u0001', ''), '')
})

for (const [what, head] of [
  ['with a length', 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"half":'],
  ['in chunks', 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n8\r\n{"half":\r\n'],
]) {
  test(`a body ${what} that is cut after a 2xx: the message is delivered, and not sent again`, async (t) => {
    let requests = 0
    const { url } = await answering(t, (socket) => {
      requests += 1
      socket.end(head)
    })
    const sender = await open(t, url, { credentials })
    const receipt = await sender.send(message('m'))
    assert.deepEqual([receipt.status, receipt.attempts, receipt.body], [200, 1, '{"half":'])
    assert.equal(requests, 1)
  })
}

test('a body that comes in drops ends with the time: the message is delivered', async (t) => {
  let requests = 0
  const { url } = await answering(t, (socket) => {
    requests += 1
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n')
    const dripping = setInterval(() => socket.write('.'), 50)
    socket.on('close', () => clearInterval(dripping))
  })
  const sender = await open(t, url, { credentials, connections: { requestTimeoutMs: 1_500 }, retry: { maxAttempts: 2 } })
  const [receipt, error] = await Promise.all([sender.send(message('m')), failure(sender.request({ method: 'POST', path: '/', body: {} }))])
  assert.deepEqual([receipt.status, receipt.attempts], [200, 1])
  assert.deepEqual([error.code, error.status, error.ambiguous], ['DELIVERY_AMBIGUOUS', 200, true])
  assert.equal(requests, 2)
})

test('a head that comes in drops ends with the time', async (t) => {
  const { url } = await answering(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n')
    const dripping = setInterval(() => socket.write('x: y\r\n'), 20)
    socket.on('close', () => clearInterval(dripping))
  })
  const sender = await open(t, url, { credentials, connections: { requestTimeoutMs: 200 }, retry: { ambiguous: 'fail' } })
  const error = await failure(sender.send(message('m')))
  assert.deepEqual([error.code, error.status], ['DELIVERY_AMBIGUOUS', null])
  assert.match(error.message, /200 ms/)
})

test('a server that connects and never answers does not hold up connections for ever', async (t) => {
  const { url } = await serveRaw(t, (socket) => socket.resume())
  const sender = await open(t, url, {
    credentials,
    connections: { max: 2, requestTimeoutMs: 100 },
    retry: { ambiguous: 'fail' },
  })
  const errors = await Promise.all(['a', 'b', 'c', 'd'].map((id) => failure(sender.send(message(id)))))
  assert.deepEqual(
    errors.map(({ code }) => code),
    Array(4).fill('DELIVERY_AMBIGUOUS'),
  )
  await until(() => sender.stats().queue.inFlight === 0)
})

test('an answer before the request is read: its connection serves no other, and is closed', async (t) => {
  const sockets = []
  const { url } = await serveRaw(t, (socket) => {
    sockets.push(socket)
    const status = sockets.length === 1 ? '413 Content Too Large' : '200 OK'
    socket.once('data', () => {
      socket.pause()
      socket.write(`HTTP/1.1 ${status}\r\ncontent-length: 2\r\n\r\n{}`)
    })
  })
  const sender = await open(t, url, { credentials, connections: { requestTimeoutMs: 3_000 }, retry: { ambiguous: 'fail' } })
  const text = 'x'.repeat(8_000_000)
  const error = await failure(sender.send({ conversationId: 'c', body: { text } }))
  assert.deepEqual([error.code, error.status], ['DELIVERY_REJECTED', 413])
  const receipt = await sender.send(message('next', 'c'))
  assert.deepEqual([receipt.status, receipt.attempts, sockets.length], [200, 1, 2])
  let rest = 0
  const closed = new Promise((resolve) => sockets[0].once('close', resolve))
  sockets[0].on('data', (chunk) => (rest += chunk.length)).resume()
  await closed
  // No more than the sockets' buffers held.
  assert.ok(rest < text.length, `rest ${rest}`)
})

test('a handshake that outlasts the time of a request: it was not sent, and is not ambiguous', async (t) => {
  let bytes = 0
  const { url } = await serveRaw(t, (socket) => socket.on('data', (chunk) => (bytes += chunk.length)))
  const sender = await open(t, url.replace('http:', 'https:'), {
    credentials,
    connections: { requestTimeoutMs: 300 },
    retry: { ambiguous: 'fail', maxAttempts: 2 },
  })
  const error = await failure(sender.send(message('m')))
  assert.deepEqual([error.code, error.attempts, error.ambiguous], ['DELIVERY_EXHAUSTED', 2, false])
  assert.match(error.message, /no connection within 300 ms/)
  await until(() => bytes > 0)
})

test('informational answers before the real one', async (t) => {
  const { url } = await answering(t, (socket) => {
    socket.write('HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}')
  })
  const sender = await open(t, url, { credentials })
  assert.equal((await sender.send(message('m'))).status, 201)
})

test('a login host that talks nonsense: the message waits, and goes when it comes to its senses', async (t) => {
  const answers = [
    (response) => response.end('<html>'),
    (response) => answerJson(response, 200, { access_token: '' }),
    (response) => answerJson(response, 500, {}),
    (response) => answerJson(response, 200, { access_token: 'good', expires_in: 'soon' }),
    (response) => answerJson(response, 200, { access_token: 'good', expires_in: 3_600 }),
  ]
  const { url } = await serve(t, (request, response) => {
    request.resume()
    if (request.url === '/oauth/token') answers.shift()(response)
    else answerJson(response, request.headers.authorization === 'Bearer good' ? 200 : 401, {})
  })
  const sender = await open(t, url)
  const receipt = await sender.send(message('m'))
  assert.deepEqual([receipt.status, receipt.attempts], [200, 1])
})

test('a certificate that nobody vouches for: an error that says so, after maxAttempts', async (t) => {
  let requests = 0
  const { url } = await serve(
    t,
    (_request, response) => {
      requests += 1
      response.end()
    },
    { tls: TLS },
  )
  const sender = await open(t, url, { credentials, retry: { maxAttempts: 2 } })
  const error = await failure(sender.send(message('m')))
  assert.ok(error instanceof DeliveryError)
  assert.deepEqual([error.code, error.status, error.attempts, error.ambiguous], ['DELIVERY_EXHAUSTED', null, 2, false])
  assert.match(error.message, /certificate/i)
  const [letter] = await collect(sender.deadLetters())
  assert.deepEqual([letter.id, letter.reason], ['m', 'exhausted'])
  assert.match(letter.message, /certificate/i)
  assert.equal(requests, 0)
})

test('NODE_EXTRA_CA_CERTS makes it trusted, for the name that it is for', async (t) => {
  const { url } = await serve(
    t,
    (request, response) => {
      request.resume()
      answerJson(response, 200, { secure: true })
    },
    { tls: TLS },
  )
  const env = { NODE_EXTRA_CA_CERTS: CA_FILE }
  const options = optionsFor(url, { credentials, retry: { maxAttempts: 1 } })
  assert.deepEqual(await inChild('send.js', { args: [JSON.stringify(options)], env }), { status: 200, body: { secure: true } })

  const wrongName = { ...options, apiUrl: url.replace('localhost', '127.0.0.1') }
  const refused = await inChild('send.js', { args: [JSON.stringify(wrongName)], env })
  assert.equal(refused.code, 'DELIVERY_EXHAUSTED')
  assert.match(refused.message, /certificate/i)
})

/**
 * A TLS server that closes each connection as soon as it is made. The end of TLS 1.2's handshake is the server's, unless it
 * resumes a session; it reaches the client together with the end of the connection, so that there is no moment in which a
 * request could be sent.
 */
async function closing(t) {
  const made = { connections: 0, handshakes: 0 }
  const server = tls.createServer({ ...TLS, maxVersion: 'TLSv1.2', secureOptions: SSL_OP_NO_TICKET }, (socket) => {
    made.handshakes += 1
    socket.end()
  })
  server.on('tlsClientError', () => {})
  await listen(t, server)
  const { url } = await serveRaw(t, (socket) => {
    made.connections += 1
    let received = 0
    const last = []
    const upstream = net.connect(server.address().port, '127.0.0.1')
    socket.on('data', (chunk) => {
      received += 1
      upstream.write(chunk)
    })
    socket.on('close', () => upstream.destroy())
    upstream.on('data', (chunk) => (received === 1 ? socket.write(chunk) : last.push(chunk)))
    upstream.on('end', () => socket.end(Buffer.concat(last)))
    upstream.on('error', () => socket.destroy())
  })
  return { url: url.replace('http://127.0.0.1', 'https://localhost'), made }
}

test('connections that are closed as soon as they are made: few for each attempt, and nothing was sent', async (t) => {
  const { url, made } = await closing(t)
  const options = optionsFor(url, {
    credentials,
    connections: { requestTimeoutMs: 2_000 },
    retry: { ambiguous: 'fail', maxAttempts: 3 },
  })
  const env = { NODE_EXTRA_CA_CERTS: CA_FILE }
  const { code, attempts } = await inChild('send.js', { args: [JSON.stringify(options)], env })
  assert.deepEqual([code, attempts], ['DELIVERY_EXHAUSTED', 3])
  assert.ok(made.connections <= 2 * attempts, `connections ${made.connections}`)
  assert.equal(made.handshakes, made.connections)
})

test('HTTPS_PROXY is honored, and sees no credentials', async (t) => {
  const { url } = await serve(
    t,
    (request, response) => {
      request.resume()
      answerJson(response, 200, { authorized: request.headers.authorization === 'Bearer token' })
    },
    { tls: TLS },
  )
  const connects = []
  const proxy = http.createServer((_request, response) => response.writeHead(501).end())
  proxy.on('connect', (request, client, head) => {
    connects.push({ url: request.url, headers: request.headers })
    const [, port] = request.url.split(':')
    const upstream = net.connect(Number(port), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      upstream.write(head)
      upstream.pipe(client).pipe(upstream)
    })
    upstream.on('error', () => client.destroy())
    client.on('error', () => upstream.destroy())
    client.on('close', () => upstream.destroy())
  })
  await listen(t, proxy)
  const options = optionsFor(url, { credentials, retry: { maxAttempts: 1 } })
  const outcome = await inChild('send.js', {
    args: [JSON.stringify(options)],
    env: { NODE_EXTRA_CA_CERTS: CA_FILE, HTTPS_PROXY: `http://127.0.0.1:${proxy.address().port}` },
  })
  assert.deepEqual(outcome, { status: 200, body: { authorized: true } })
  assert.deepEqual(
    connects.map((connect) => connect.url),
    [new URL(url).host],
  )
  assert.equal(connects[0].headers.authorization, undefined)
  assert.equal(JSON.stringify(connects).includes('token'), false)

  const past = await inChild('send.js', {
    args: [JSON.stringify(options)],
    env: { NODE_EXTRA_CA_CERTS: CA_FILE, HTTPS_PROXY: `http://127.0.0.1:${proxy.address().port}`, NO_PROXY: 'localhost' },
  })
  assert.equal(past.status, 200)
  assert.equal(connects.length, 1)
})

test('a request that would break out of its head is refused before it is sent', async (t) => {
  const requests = []
  const { url } = await serve(t, (request, response) => {
    requests.push(request.url)
    request.resume()
    response.end()
  })
  const sender = await open(t, url, { credentials })
  for (const [field, wrong] of [
    ['headers.x', { headers: { x: 'a\r\nx-injected: 1' } }],
    ['headers.x', { headers: { x: 'a\nb' } }],
    ['headers.x', { headers: { x: 'a\0b' } }],
    ['headers.x', { headers: { x: '名' } }],
    ['headers', { headers: { 'x: y\r\nz': 'a' } }],
    ['headers', { headers: { '': 'a' } }],
    ['headers.Authorization', { headers: { Authorization: 'Bearer mine' } }],
    ['headers.host', { headers: { host: 'elsewhere' } }],
    ['headers.Transfer-Encoding', { headers: { 'Transfer-Encoding': 'chunked' } }],
    ['headers.content-length', { headers: { 'content-length': '0' } }],
    ['path', { path: '/x HTTP/1.1\r\nx-injected: 1\r\n\r\nGET /y' }],
    ['path', { path: '/x y' }],
    ['path', { path: '//elsewhere.example/x' }],
    ['path', { path: '/\\elsewhere.example/x' }],
    ['path', { path: 'http://elsewhere.example/' }],
    ['path', { path: '/a/../b' }],
    ['path', { path: '/a/%2e%2E/b' }],
    ['path', { path: '/a#b' }],
    ['method', { method: 'GET / HTTP/1.1\r\n\r\n' }],
    ['method', { method: 'CONNECT' }],
    ['method', { method: 'get' }],
  ]) {
    const error = await failure(sender.request({ ...call, ...wrong }))
    assert.deepEqual([error.name, error.code, error.field], ['ConfigError', 'MESSAGE_INVALID', field], JSON.stringify(wrong))
  }
  assert.deepEqual(requests, [])
})

test('a query takes any text and stays a query', async (t) => {
  const { url } = await serve(t, (request, response) => {
    request.resume()
    answerJson(response, 200, Object.fromEntries(new URL(request.url, 'http://x').searchParams))
  })
  const sender = await open(t, url, { credentials })
  const query = { 'a\r\n#': 'b\r\nc: d & e=f\0#', '..': '/../' }
  assert.deepEqual((await sender.request({ ...call, query })).body, query)
})

test('a conversation id cannot leave its segment of the path', async (t) => {
  const paths = []
  const { url } = await serve(t, (request, response) => {
    paths.push(request.url)
    request.resume()
    answerJson(response, 200, {})
  })
  const sender = await open(t, url, { credentials })
  for (const conversationId of ['../../admin', 'a/b', 'a?b', 'a#b', '%2e%2e', 'a\r\nb', 'a\0b', '....', ' ', '\\']) {
    await sender.send({ conversationId, body: {} })
    const segments = paths.at(-1).split('/')
    assert.equal(segments.length, 7, paths.at(-1))
    assert.equal(decodeURIComponent(segments[5]), conversationId)
    assert.equal(paths.at(-1), `/api/v2/messaging/conversations/${segments[5]}/messages`)
  }
  for (const conversationId of ['.', '..']) {
    const error = await failure(sender.send({ conversationId, body: {} }))
    assert.deepEqual([error.name, error.field], ['ConfigError', 'conversationId'])
  }
})
