'use strict'

// docs/adapters.md on what stays different: nock, msw, MockAgent, spans, streaming, progress. What each row says happens, and what the
// page advises instead works.

const assert = require('node:assert/strict')
const { EventEmitter, once } = require('node:events')
const { readFileSync } = require('node:fs')
const http = require('node:http')
const { join } = require('node:path')
const { describe, it } = require('node:test')
const { setImmediate: nextTurn } = require('node:timers/promises')

const { ClientRequestInterceptor } = require('@mswjs/interceptors/ClientRequest')
const { FetchInterceptor } = require('@mswjs/interceptors/fetch')
const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base')
const axios = require('axios')
const MockAdapter = require('axios-mock-adapter')
const nock = require('nock')
const sdk = require('purecloud-platform-client-v2')

const { Simulator } = require('spillway')
const { createAdapter } = require('spillway/axios')
const { createFetch } = require('spillway/fetch')
const { instrument } = require('spillway/otel')
const { useSpillway } = require('spillway/sdk')
const { open, serve } = require('../http/support.js')

const PAGE = readFileSync(join(__dirname, '../../docs/adapters.md'), 'utf8')
const ANSWER = '{"from":"the server"}'
const MOCK = '{"from":"a mock"}'

/** What each client gets of `/x`, by itself and through a sender. */
const CLIENTS = {
  axios: {
    own: async (url) => (await axios.get(`${url}/x`, { proxy: false })).data.from,
    ours: async (url, sender) => (await axios.get(`${url}/x`, { adapter: createAdapter(sender) })).data.from,
  },
  fetch: {
    own: async (url) => (await (await fetch(`${url}/x`)).json()).from,
    ours: async (url, sender) => (await (await createFetch(sender)(`${url}/x`)).json()).from,
  },
  sdk: {
    own: async (url) => (await callApi(apiClient(url))).from,
    ours: async (url, sender) => {
      const client = apiClient(url)
      useSpillway(client, sender)
      return (await callApi(client)).from
    },
  },
}

function apiClient(url) {
  const client = new sdk.ApiClientClass()
  client.config.basePath = url
  client.setAccessToken('of-the-client')
  return client
}

function callApi(client, path = '/x') {
  return client.callApi(path, 'GET', {}, {}, {}, {}, null, ['PureCloud OAuth'], ['application/json'], ['application/json'])
}

const JSON_TYPE = { 'content-type': 'application/json' }

async function setUp(t, options) {
  const { url } = await serve(t, (_request, response) => response.writeHead(200, JSON_TYPE).end(ANSWER))
  return { url, sender: await open(t, url, { credentials: { accessToken: 'token' }, ...options }) }
}

/** The table of this adapter, a row for each topic. */
function tableOf(name) {
  const section = PAGE.split(new RegExp(`^## ${name}$`, 'm'))[1].split(/^## /m)[0]
  return Object.fromEntries(
    [...section.matchAll(/^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)].map(([, topic, own, ours]) => [topic, { own, ours }]),
  )
}

describe('docs/adapters.md', () => {
  it('has a row for each topic in the table of each adapter', () => {
    for (const [name, topics] of Object.entries({
      axios: [/^nock, msw/, /^spans/, /stream/, /^progress$/],
      fetch: [/^nock, msw/, /^spans/, /^streaming/, /^progress$/],
      sdk: [/^nock, msw/, /^spans/, /^streaming, progress$/],
    })) {
      const table = tableOf(name)
      for (const topic of topics)
        assert.ok(
          Object.keys(table).some((row) => topic.test(row)),
          `${name} ${topic}`,
        )
      const [, mocks] = Object.entries(table).find(([row]) => row.startsWith('nock'))
      assert.match(mocks.own, /see the calls/)
      assert.match(mocks.ours, /don't see them/)
    }
  })
})

describe('mocks of other packages', () => {
  it('nock sees calls of axios and of the SDK, and none through a sender', async (t) => {
    const { url, sender } = await setUp(t)
    t.after(() => nock.cleanAll())
    t.after(() => nock.restore())
    nock(url).persist().get('/x').reply(200, MOCK, JSON_TYPE)
    for (const name of ['axios', 'sdk']) {
      assert.equal(await CLIENTS[name].own(url), 'a mock', name)
      assert.equal(await CLIENTS[name].ours(url, sender), 'the server', name)
    }
    assert.equal(await CLIENTS.fetch.ours(url, sender), 'the server')
  })

  it('the interceptors by which msw works see all clients, and no call through a sender', async (t) => {
    const { url, sender } = await setUp(t)
    for (const interceptor of [new ClientRequestInterceptor(), new FetchInterceptor()]) {
      interceptor.apply()
      t.after(() => interceptor.dispose())
      interceptor.on('request', ({ controller }) => controller.respondWith(new Response(MOCK, { headers: JSON_TYPE })))
    }
    for (const [name, { own, ours }] of Object.entries(CLIENTS)) {
      assert.equal(await own(url), 'a mock', name)
      assert.equal(await ours(url, sender), 'the server', name)
    }
  })
})

describe('what the page advises instead', () => {
  it('calls arrive at a Simulator, whose ledger has them', async (t) => {
    const simulator = await Simulator.start({ authRequired: false })
    t.after(() => simulator.close())
    const sender = await open(t, simulator.url, { credentials: { accessToken: 'token' } })
    const path = '/api/v2/users/me'
    const client = apiClient(simulator.url)
    useSpillway(client, sender)
    await callApi(client, path)
    await axios.get(path, { adapter: createAdapter(sender) })
    assert.equal((await createFetch(sender)(simulator.url + path)).status, 200)
    assert.equal(simulator.ledger().arrivals, 3)
  })

  it('a server of one’s own gives the answers that a test needs', async (t) => {
    const server = http.createServer((_request, response) => response.writeHead(418, JSON_TYPE).end(ANSWER)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const url = `http://127.0.0.1:${server.address().port}`
    const sender = await open(t, url, { credentials: { accessToken: 'token' } })
    assert.equal((await createFetch(sender)(url)).status, 418)
    assert.equal((await axios.get(url, { adapter: createAdapter(sender), validateStatus: null })).status, 418)
    await sender.close()
  })

  it('axios-mock-adapter on top leaves the sender out', async (t) => {
    const { url, sender } = await setUp(t)
    const api = axios.create({ baseURL: url, adapter: createAdapter(sender) })
    new MockAdapter(api).onGet('/x').reply(200, JSON.parse(MOCK))
    assert.equal((await api.get('/x')).data.from, 'a mock')
    assert.equal(sender.stats().counters.requests, 0)
  })
})

describe('spans', () => {
  it('are those of spillway/otel, for each adapter', async (t) => {
    const exporter = new InMemorySpanExporter()
    const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
    const { url, sender } = await setUp(t)
    t.after(instrument(sender, { tracerProvider }))
    for (const [name, { ours }] of Object.entries(CLIENTS)) {
      exporter.reset()
      await ours(url, sender)
      const told = exporter.getFinishedSpans().map(({ attributes }) => [attributes['url.path'], attributes['http.response.status_code']])
      assert.deepEqual(told, [['/x', 200]], name)
    }
  })
})

describe('streaming and progress', () => {
  /** A server that holds back the second half of its answer until the test releases it. */
  async function halves(t) {
    const events = new EventEmitter()
    const { url } = await serve(t, (_request, response) => {
      response.writeHead(200, { 'content-length': 8 })
      response.write('half', () => events.emit('begun'))
      events.once('end', () => response.end('half'))
    })
    return { url, events, sender: await open(t, url, { credentials: { accessToken: 'token' } }) }
  }

  it('an answer is there when it is whole, as one piece', async (t) => {
    const { url, events, sender } = await halves(t)
    for (const [call, read] of [
      [() => createFetch(sender)(url), ({ body }) => body],
      [() => axios.get(url, { adapter: createAdapter(sender), responseType: 'stream' }), ({ data }) => data],
    ]) {
      let isThere = false
      const begun = once(events, 'begun')
      const calling = call().then((answer) => {
        isThere = true
        return answer
      })
      await begun
      await nextTurn()
      assert.equal(isThere, false)
      events.emit('end')
      const pieces = []
      for await (const piece of read(await calling)) pieces.push(String(Buffer.from(piece)))
      assert.deepEqual(pieces, ['halfhalf'])
    }
  })

  it('progress of axios is one event for each direction, after the answer', async (t) => {
    const { url, sender } = await setUp(t)
    const loaded = []
    const told = new EventEmitter()
    const onDownloadProgress = (event) => {
      loaded.push(['down', event.loaded])
      told.emit('down')
    }
    const downloaded = once(told, 'down')
    await axios.post(url, 'sent', {
      adapter: createAdapter(sender),
      onUploadProgress: (event) => loaded.push(['up', event.loaded]),
      onDownloadProgress,
    })
    await downloaded
    assert.deepEqual(loaded, [
      ['up', 4],
      ['down', ANSWER.length],
    ])
  })
})
