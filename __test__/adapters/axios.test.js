'use strict'

// spillway/axios with the real axios: what it refuses, and what must differ. What is the same is in axios-conformance.test.js.

const assert = require('node:assert/strict')
const { EventEmitter, once } = require('node:events')
const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const { Readable } = require('node:stream')
const { describe, it, test } = require('node:test')
const zlib = require('node:zlib')

const axios = require('axios')

const { createAdapter } = require('spillway/axios')
const { failure, serve, simulate, open, until } = require('../http/support.js')
const { echo, openWithToken } = require('./support.js')

describe('what must differ from axios itself', () => {
  it('retries, the token, and the budget', async (t) => {
    const script = [
      { request: 1, status: 503 },
      { request: 2, status: 429 },
    ]
    const simulator = await simulate(t, { script, headers: 'none', retryAfter: 'zero' })
    const sender = await open(t, simulator)
    const http = axios.create({ baseURL: simulator.url, adapter: createAdapter(sender) })
    const { data } = await http.get('/api/v2/users/me')
    assert.equal(data.name, 'Spillway Simulator')
    assert.equal(simulator.ledger().arrivals, 3)
    assert.equal(sender.stats().counters.requests, 3)
  })

  it('a path alone is one of the API', async (t) => {
    const server = await echo(t)
    const sender = await openWithToken(t, server.url, { apiUrl: `${server.url}/gateway` })
    const { data } = await axios.get('/api/v2/x', { adapter: createAdapter(sender), params: { a: 1 } })
    assert.equal(data.url, '/gateway/api/v2/x?a=1')
    assert.equal(data.headers.authorization, 'Bearer of-the-sender')
  })

  it('a login goes by axios itself', async (t) => {
    const server = await echo(t)
    const sender = await openWithToken(t, server.url)
    const http = axios.create({ baseURL: server.url, adapter: createAdapter(sender) })
    await http.post('/oauth/token', 'grant_type=client_credentials', { auth: { username: 'a', password: 'b' } })
    assert.match(server.requests[0].headers.authorization, /^Basic /)
    assert.equal(sender.stats().counters.requests, 0)
  })

  it('another host is refused, or passed by axios itself if that is wanted, without the token', async (t) => {
    const [mine, foreign] = [await echo(t), await echo(t)]
    const sender = await openWithToken(t, mine.url)
    const refused = await failure(axios.get(foreign.url, { adapter: createAdapter(sender) }))
    assert.ok(axios.isAxiosError(refused))
    assert.equal(refused.code, 'ERR_BAD_REQUEST')
    assert.ok(refused.message.includes(mine.url) && refused.message.includes(foreign.url), refused.message)
    assert.equal(refused.cause.code, 'MESSAGE_INVALID')
    assert.deepEqual(foreign.requests, [])
    const { data } = await axios.get(`${foreign.url}/x`, { adapter: createAdapter(sender, { otherHosts: 'pass' }) })
    assert.equal(data.url, '/x')
    assert.equal(data.headers.authorization, undefined)
    // As does a URL that only looks like the API's.
    const twin = mine.url.replace('//', '//user:password@').replace('localhost', 'localhost.example')
    assert.match((await failure(axios.get(twin, { adapter: createAdapter(sender) }))).message, /must be below/)
  })

  it('a redirect to another host goes there without secrets', async (t) => {
    const store = await echo(t)
    const server = await echo(t, (_request, response) => response.writeHead(303, { location: `${store.url}/file` }).end() && true)
    const sender = await openWithToken(t, server.url)
    const http = axios.create({ baseURL: server.url, adapter: createAdapter(sender, { otherHosts: 'pass' }), headers: { Cookie: 'c=1' } })
    const { data, request } = await http.post('/export', { a: 1 }, { params: { b: 2 } })
    assert.deepEqual([data.method, data.url, data.body], ['GET', '/file', ''])
    assert.deepEqual([data.headers.authorization, data.headers.cookie], [undefined, undefined])
    assert.ok(request)
  })

  it("a redirect to another host is refused with otherHosts 'refuse', the default, and one to the login is not", async (t) => {
    const store = await echo(t)
    const server = await echo(t, ({ url }, response) => {
      if (url === '/export') response.writeHead(302, { location: `${store.url}/file?key=secret` }).end()
      if (url === '/signed-out') response.writeHead(302, { location: '/oauth/token' }).end()
      return ['/export', '/signed-out'].includes(url)
    })
    const sender = await openWithToken(t, server.url)
    for (const options of [undefined, { otherHosts: 'refuse' }]) {
      const http = axios.create({ baseURL: server.url, adapter: createAdapter(sender, options), proxy: false })
      const error = await failure(http.get('/export'))
      assert.ok(axios.isAxiosError(error))
      assert.deepEqual([error.code, error.cause.code, error.cause.field], ['ERR_BAD_REQUEST', 'MESSAGE_INVALID', 'otherHosts'])
      assert.ok(error.message.includes(store.url) && !error.message.includes('secret'), error.message)
      assert.equal((await http.get('/signed-out')).data.access_token, 'minted')
    }
    assert.deepEqual(store.requests, [])
  })

  it('zstd as the newest axios, where Node has it', async (t) => {
    const text = '{"zipped":true}'
    const bytes = zlib.zstdCompressSync?.(text) ?? Buffer.from(text)
    const server = await echo(t, (_got, response) => response.writeHead(200, { 'content-encoding': 'zstd' }).end(bytes) && true)
    const sender = await openWithToken(t, server.url)
    const transitional = { advertiseZstdAcceptEncoding: true }
    const [own, ours] = await Promise.all(
      ['http', createAdapter(sender)].map((adapter) => axios.get(server.url, { adapter, transitional, proxy: false })),
    )
    assert.deepEqual([ours.data, ours.headers['content-encoding']], [own.data, own.headers['content-encoding']])
    assert.equal(server.requests[0].headers['accept-encoding'], server.requests[1].headers['accept-encoding'])
    assert.equal(/zstd/.test(server.requests[0].headers['accept-encoding']), zlib.zstdCompressSync !== undefined)
  })

  it('beforeRedirect must not choose a connection', async (t) => {
    const server = await echo(t, ({ url }, response) => url === '/a' && response.writeHead(302, { location: '/b' }).end() && true)
    const adapter = createAdapter(await openWithToken(t, server.url))
    for (const change of [{ agent: {} }, { agents: {} }, { auth: 'a:b' }, { socketPath: '/x' }, { lookup() {} }, { family: 6 }]) {
      const error = await failure(axios.get(`${server.url}/a`, { adapter, beforeRedirect: (options) => Object.assign(options, change) }))
      assert.equal(error.code, 'ERR_FR_REDIRECTION_FAILURE')
      assert.ok(error.message.includes(`beforeRedirect must not set ${Object.keys(change)[0]}`), error.message)
    }
    assert.ok(server.requests.every(({ url }) => url === '/a'))
  })

  it('another scheme is refused by its name', async (t) => {
    const server = await echo(t)
    const adapter = createAdapter(await openWithToken(t, server.url))
    for (const url of ['data:text/plain,x', 'file:///etc/hostname', 'ftp://localhost/x']) {
      const error = await failure(axios.get(url, { adapter }))
      assert.equal(error.code, 'ERR_BAD_REQUEST')
      assert.ok(error.message.includes(`got one of ${url.split(':')[0]}:`), error.message)
    }
  })

  it('a stream body is kept, to be sent again; one that is too long to keep is refused', async (t) => {
    let requests = 0
    const server = await echo(t, (_got, response) => {
      requests += 1
      if (requests === 1) response.writeHead(503).end()
      return requests === 1
    })
    const sender = await openWithToken(t, server.url)
    const http = axios.create({ baseURL: server.url, adapter: createAdapter(sender, { maxBodyBytes: 1_000 }) })
    const { data } = await http.put('/x', Readable.from(['once ', 'upon']))
    assert.deepEqual([requests, data.body], [2, 'once upon'])
    const endless = Readable.from(
      (function* () {
        for (;;) yield Buffer.alloc(100)
      })(),
    )
    const error = await failure(http.put('/x', endless))
    assert.match(error.message, /at most 1000 bytes \(maxBodyBytes\)/)
    assert.equal(error.code, 'ERR_BAD_REQUEST')
    assert.ok(endless.destroyed)
    const broken = await failure(
      http.put(
        '/x',
        Readable.from(
          (async function* () {
            yield 'a'
            throw new Error('the disk failed')
          })(),
        ),
      ),
    )
    assert.equal(broken.message, 'the disk failed')
    assert.equal(requests, 2)
  })

  it('a huge answer, and one that is cut in its body', async (t) => {
    const { url } = await serve(t, (request, response) => {
      request.resume()
      if (request.url === '/huge') return response.end(Buffer.alloc(100_000))
      response.writeHead(200, { 'content-length': 100 })
      return response.write('half', () => response.destroy())
    })
    const sender = await openWithToken(t, url)
    const http = axios.create({ baseURL: url, adapter: createAdapter(sender, { maxResponseBytes: 50_000 }) })
    const huge = await failure(http.get('/huge'))
    assert.ok(axios.isAxiosError(huge))
    assert.deepEqual(
      [huge.code, huge.message, huge.cause.code],
      ['ERR_BAD_RESPONSE', 'maxResponseBytes exceeded', 'DELIVERY_RESPONSE_TOO_LARGE'],
    )
    assert.equal((await http.get('/huge', { spillway: { maxResponseBytes: 100_000 }, responseType: 'arraybuffer' })).data.length, 100_000)
    for (const method of ['get', 'post']) {
      const cut = await failure(http.request({ method, url: '/cut' }))
      assert.ok(axios.isAxiosError(cut))
      assert.match(cut.cause.code, /^DELIVERY_/)
      assert.deepEqual(
        [cut.code, cut.message, cut.response.status, cut.response.data],
        ['ERR_BAD_RESPONSE', 'stream has been aborted', 200, undefined],
      )
    }
  })

  it('an abort while the body is read, and in flight, which cuts it', async (t) => {
    let open = 0
    let closed = 0
    const { url } = await serve(t, (request, response) => {
      request.resume()
      open += 1
      response.on('close', () => (closed += 1))
      response.writeHead(200, { 'content-length': 100 }).write('half')
    })
    const sender = await openWithToken(t, url)
    const http = axios.create({ baseURL: url, adapter: createAdapter(sender) })
    const controller = new AbortController()
    const pending = failure(http.get('/x', { signal: controller.signal }))
    await until(() => open === 1)
    controller.abort()
    assert.equal((await pending).code, 'ERR_CANCELED')
    await until(() => closed === 1)
    const stalled = new Readable({ read() {} })
    stalled.push('half')
    const reading = new AbortController()
    const upload = failure(http.put('/x', stalled, { signal: reading.signal }))
    setTimeout(() => reading.abort(), 20)
    assert.equal((await upload).code, 'ERR_CANCELED')
    assert.ok(stalled.destroyed)
    assert.equal(sender.stats().queue.messages, 0)
  })

  it('no server, a sender that is closed, and a header that is none', async (t) => {
    const sender = await openWithToken(t, 'http://127.0.0.1:9')
    const http = axios.create({ baseURL: 'http://127.0.0.1:9', adapter: createAdapter(sender) })
    const refused = await failure(http.get('/x'))
    assert.deepEqual([refused.code, refused.name, refused.cause.code], ['ECONNREFUSED', 'AxiosError', 'DELIVERY_EXHAUSTED'])
    assert.equal((await failure(http.get('/x', { headers: { 'X Bad': 'x' } }))).code, 'ERR_BAD_REQUEST')
    await sender.close({ timeoutMs: 0 })
    assert.equal((await failure(http.get('/x'))).code, 'CLOSED')
  })

  it('progress is reported once for each direction, when the answer is there', async (t) => {
    let answered = false
    const server = await echo(t, () => {
      answered = true
    })
    const sender = await openWithToken(t, server.url)
    const events = []
    const both = new EventEmitter()
    const listener = ({ upload, download, loaded, total }) => {
      events.push([upload, download, loaded > 0, total, answered])
      if (events.length === 2) both.emit('reported')
    }
    const reported = once(both, 'reported')
    const config = { adapter: createAdapter(sender), onUploadProgress: listener, onDownloadProgress: listener }
    assert.equal((await axios.post(`${server.url}/x`, 'four', config)).status, 200)
    await reported
    assert.deepEqual(events, [
      [true, undefined, true, 4, true],
      [undefined, true, true, undefined, true],
    ])
  })

  it('as the default of axios, of an ES module, by its own classes', async (t) => {
    const server = await echo(t, (_got, response) => response.writeHead(404).end() && true)
    const sender = await openWithToken(t, server.url)
    const module = await import('spillway/axios')
    const { default: imported } = await import('axios')
    const error = await failure(imported.get(server.url, { adapter: module.createAdapter(sender) }))
    assert.ok(error instanceof imported.AxiosError)
    assert.ok(error.response.headers instanceof imported.AxiosHeaders)
  })
})

test('the types of both faces are one text', () => {
  const read = (name) => readFileSync(join(__dirname, '../../lib/adapters/axios', name), 'utf8')
  assert.equal(read('index.d.mts'), read('index.d.ts'))
})

test('createAdapter checks what it is given', async (t) => {
  const server = await echo(t)
  const sender = await openWithToken(t, server.url)
  assert.throws(() => createAdapter(), /sender must be a Sender/)
  assert.throws(() => createAdapter(sender, { axios: {} }), /axios must be axios 1.5.0 or newer/)
  assert.throws(() => createAdapter(sender, { otherHosts: 'yes' }), /otherHosts must be 'refuse' or 'pass'/)
  assert.throws(() => createAdapter(sender, { priorty: 1 }), /"priorty" is not a key of options/)
  const adapter = createAdapter(sender)
  assert.match((await failure(axios.get(server.url, { adapter, spillway: { priority: 101 } }))).message, /priority must be/)
  assert.match((await failure(axios.get(server.url, { adapter, spillway: { prio: 1 } }))).message, /"prio" is not a key/)
})
