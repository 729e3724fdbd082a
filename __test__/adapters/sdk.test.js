'use strict'

// spillway/sdk with the real SDK: the oldest version with setHttpClient that the registry has, and the newest.

const assert = require('node:assert/strict')
const http = require('node:http')
const https = require('node:https')
const { describe, it } = require('node:test')

const { ConfigError, SpillwayError } = require('../../index.js')
const { SpillwayHttpClient, useSpillway } = require('spillway/sdk')
const { answerJson, failure, open, serve, simulate } = require('../http/support.js')
const { echo, openWithToken } = require('./support.js')

const VERSIONS = { '212.1.0': 'purecloud-212', '262.0.0': 'purecloud-platform-client-v2' }

/** An ApiClient of its own that calls this server. */
function clientFor(sdk, url, path = {}) {
  const { hostname, port } = new URL(url)
  const client = new sdk.ApiClientClass()
  client.setGateway({ host: hostname, protocol: 'http', port: Number(port), ...path })
  return client
}

/** Calls of every kind, as programs make them. */
const CALLS = {
  users: (sdk, client) => new sdk.UsersApi(client).getUsersMe({ expand: ['presence', 'authorization'] }),
  'a query with all that is special': (sdk, client) =>
    new sdk.UsersApi(client).getUsersSearch('a b&c=d?e:f$g,h[i]/ü+', { expand: ['x y'] }),
  'numbers and booleans in the query': (sdk, client) =>
    new sdk.RoutingApi(client).getRoutingQueues({ pageSize: 25, pageNumber: 2, name: '*ü*', hasPeer: false }),
  'an id in the path': (sdk, client) => new sdk.RoutingApi(client).getRoutingQueue('a/b c'),
  'a conversation message': (sdk, client) =>
    new sdk.ConversationsApi(client).postConversationsMessageCommunicationMessages('conversation', 'communication', {
      textBody: 'grüße 🙂',
    }),
  agentless: (sdk, client) =>
    new sdk.ConversationsApi(client).postConversationsMessagesAgentless({ fromAddress: '+1', toAddress: '+2', textBody: 'x' }),
  analytics: (sdk, client) =>
    new sdk.AnalyticsApi(client).postAnalyticsConversationsDetailsQuery({
      interval: '2026-01-01/2026-01-02',
      paging: { pageSize: 100, pageNumber: 1 },
    }),
  'a list as body': (sdk, client) =>
    new sdk.RoutingApi(client).postRoutingQueueMembers('queue', [{ id: 'a' }, { id: 'b' }], { delete: true }),
  put: (sdk, client) => new sdk.RoutingApi(client).putRoutingQueue('queue', { name: 'n' }),
  patch: (sdk, client) => new sdk.UsersApi(client).patchUser('user', { version: 1 }),
  delete: (sdk, client) => new sdk.RoutingApi(client).deleteRoutingQueue('queue', { forceDelete: true }),
  form: (_sdk, client) =>
    client.callApi(
      '/api/v2/form',
      'POST',
      {},
      {},
      {},
      { a: 'b c', list: ['1', '2'] },
      null,
      ['PureCloud OAuth'],
      ['application/x-www-form-urlencoded'],
      ['application/json'],
    ),
  text: (_sdk, client) =>
    client.callApi('/api/v2/text', 'POST', {}, {}, {}, {}, 'no JSON', ['PureCloud OAuth'], ['application/json'], ['application/json']),
  'a header of the call': (_sdk, client) =>
    client.callApi(
      '/api/v2/x',
      'GET',
      {},
      {},
      { 'X-Mine': 'yes' },
      {},
      null,
      ['PureCloud OAuth'],
      ['application/json'],
      ['application/json'],
    ),
}

for (const [version, name] of Object.entries(VERSIONS)) {
  const sdk = require(name)

  describe(`the SDK ${version}`, () => {
    it('is the version that this test is about', () => {
      assert.equal(require(`${name}/package.json`).version, version)
    })

    it('sends the same requests as by its own client', async (t) => {
      const server = await echo(t)
      const sender = await openWithToken(t, server.url)
      for (const [what, call] of Object.entries(CALLS)) {
        const seen = []
        for (const through of ['itself', 'spillway']) {
          const client = clientFor(sdk, server.url)
          client.setAccessToken('of-the-client')
          if (through === 'spillway') useSpillway(client, sender)
          server.requests.length = 0
          await call(sdk, client)
          const { method, url, headers, body } = server.requests[0]
          assert.equal(headers.authorization, through === 'itself' ? 'Bearer of-the-client' : 'Bearer of-the-sender', what)
          seen.push({ method, url, body, type: headers['content-type'], accept: headers.accept, mine: headers['x-mine'] })
        }
        // Axios says the type of a body that isn't there, too: see below.
        if (seen[0].body === '') seen[0].type = seen[1].type = undefined
        assert.deepEqual(seen[1], seen[0], what)
      }
    })

    it('gives the same results and errors as by its own client, extended or not', async (t) => {
      const answers = {
        '/api/v2/json': [200, 'application/json', '{"a":[1,null]}'],
        '/api/v2/text': [200, 'text/plain', 'plain'],
        '/api/v2/empty': [204, undefined, ''],
        '/api/v2/refused': [400, 'application/json', '{"message":"no","code":"bad.request"}'],
        '/api/v2/missing': [404, 'application/json', '{"message":"none"}'],
        '/api/v2/throttled': [409, 'application/json', '{"message":"later"}'],
        '/api/v2/failed': [501, 'text/html', '<p>no</p>'],
        '/api/v2/moved': [302, undefined, ''],
      }
      const { url } = await serve(t, (request, response) => {
        request.resume()
        const [status, type, body] = answers[request.url]
        const headers = {
          'X-Mixed-Case': 'yes',
          'Retry-After': '7',
          ...(type && { 'content-type': type }),
          ...(status === 302 && { location: '/api/v2/json' }),
        }
        response.writeHead(status, headers).end(body)
      })
      const sender = await openWithToken(t, url)
      for (const extended of [false, true]) {
        for (const path of Object.keys(answers)) {
          const results = []
          for (const through of ['itself', 'spillway']) {
            const client = clientFor(sdk, url)
            client.setReturnExtendedResponses(extended)
            if (through === 'spillway') useSpillway(client, sender)
            const call = client.callApi(path, 'GET', {}, {}, {}, {}, null, [], ['application/json'], ['application/json'])
            const [outcome, value] = await call.then(
              (value) => ['resolved', value],
              (value) => ['rejected', value],
            )
            results.push([outcome, extended ? comparable(value) : value])
          }
          assert.deepEqual(results[1], results[0], `${path} ${extended}`)
        }
      }
    })

    it('gives falsy JSON, and none, as by its own client', async (t) => {
      for (const body of ['false', '0', 'null', '""', '-0', ' ', '', 'true', '7', '"x"', '[]', '\ufeff{"a":1}']) {
        const { url } = await serve(t, (request, response) => {
          request.resume()
          const headers = { 'content-type': 'application/json' }
          response.writeHead(request.url === '/api/v2/refused' ? 400 : 200, headers).end(body)
        })
        const sender = await openWithToken(t, url)
        for (const path of ['/api/v2/x', '/api/v2/refused']) {
          for (const extended of [false, true]) {
            const results = []
            for (const through of ['itself', 'spillway']) {
              const client = clientFor(sdk, url)
              client.setReturnExtendedResponses(extended)
              if (through === 'spillway') useSpillway(client, sender)
              const call = client.callApi(path, 'GET', {}, {}, {}, {}, null, [], ['application/json'], ['application/json'])
              const value = await call.catch((value) => value)
              results.push(extended ? { ...comparable(value), text: value.text } : value)
            }
            assert.deepEqual(results[1], results[0], `${body} ${path} ${extended}`)
          }
        }
      }
    })

    it('rejects with every status as by its own client', async (t) => {
      const { url } = await serve(t, (request, response) => {
        request.resume()
        const status = Number(request.url.slice('/api/v2/'.length))
        answerJson(response, status, { status, code: 'a.code', message: 'words' }, { 'inin-correlation-id': 'c' })
      })
      const sender = await openWithToken(t, url, { retry: { maxAttempts: 1 } })
      for (const status of [
        200, 201, 202, 207, 299, 300, 302, 304, 400, 402, 403, 404, 405, 409, 413, 415, 418, 422, 500, 501, 502, 503, 504, 599,
      ]) {
        for (const extended of [false, true]) {
          const results = []
          for (const through of ['itself', 'spillway']) {
            const client = clientFor(sdk, url)
            client.setReturnExtendedResponses(extended)
            if (through === 'spillway') useSpillway(client, sender)
            const call = client.callApi(`/api/v2/${status}`, 'GET', {}, {}, {}, {}, null, [], ['application/json'], ['application/json'])
            const [outcome, value] = await call.then(
              (value) => ['resolved', value],
              (value) => ['rejected', value],
            )
            results.push([outcome, extended ? { ...comparable(value), text: value.text } : value])
          }
          assert.deepEqual(results[1], results[0], `${status} ${extended}`)
        }
      }
    })

    it('rejects refused credentials as a 401 of the API', async (t) => {
      const { url } = await serve(t, (request, response) => {
        request.resume()
        answerJson(response, 400, { error: 'invalid_client', error_description: 'client not found' })
      })
      const sender = await openWithToken(t, url, { credentials: { clientId: 'c', clientSecret: 's' } })
      const client = clientFor(sdk, url)
      useSpillway(client, sender)
      const { status, code, message } = await failure(new sdk.UsersApi(client).getUsersMe())
      assert.deepEqual([status, code, typeof message], [401, 'bad.credentials', 'string'])
      client.setReturnExtendedResponses(true)
      const extended = await failure(new sdk.UsersApi(client).getUsersMe())
      assert.deepEqual(
        [extended.status, extended.statusText, extended.body.code, extended.error.code],
        [401, 'Unauthorized', 'bad.credentials', 'AUTH_REJECTED'],
      )
    })

    it("refuses an Authorization of the caller's own, and takes the place of the ApiClient's token", async (t) => {
      const server = await echo(t)
      const sender = await openWithToken(t, server.url)
      const call = (client, headers) =>
        client.callApi('/api/v2/x', 'GET', {}, {}, headers, {}, null, ['PureCloud OAuth'], ['application/json'], ['application/json'])
      for (const [name, value] of [
        ['Authorization', 'Bearer mine'],
        ['authorization', 'Bearer mine'],
        ['AUTHORIZATION', 'Basic x'],
      ]) {
        const client = clientFor(sdk, server.url)
        client.setAccessToken('of-the-client')
        const httpClient = useSpillway(client, sender)
        const refusals = [await failure(call(client, { [name]: value }))]
        client.defaultHeaders = { [name]: value }
        refusals.push(await failure(call(client, {})))
        client.defaultHeaders = {}
        httpClient.setPreHook((config) => ({ ...config, headers: { ...config.headers, [name]: value } }))
        refusals.push(await failure(call(client, {})))
        for (const error of refusals) {
          assert.ok(error instanceof ConfigError)
          assert.equal(error.field, 'headers.Authorization')
          assert.doesNotMatch(error.message, /mine|Basic/)
        }
      }
      assert.equal(server.requests.length, 0)
      const client = clientFor(sdk, server.url)
      client.setAccessToken('of-the-client')
      useSpillway(client, sender)
      assert.equal((await call(client, {})).headers.authorization, 'Bearer of-the-sender')
    })

    it('tells Retry-After of an answer that outlives the attempts, in lower case', async (t) => {
      const { url } = await serve(t, (request, response) => {
        request.resume()
        answerJson(response, 503, { message: 'later' }, { 'Retry-After': '1', 'ININ-Correlation-Id': 'c' })
      })
      const sender = await openWithToken(t, url, { retry: { maxAttempts: 1 } })
      const client = clientFor(sdk, url)
      useSpillway(client, sender)
      client.setReturnExtendedResponses(true)
      const refusal = await failure(new sdk.UsersApi(client).getUsersMe())
      assert.equal(refusal.status, 503)
      assert.equal(refusal.headers['retry-after'], '1')
      assert.equal(refusal.headers['inin-correlation-id'], 'c')
      assert.deepEqual(refusal.body, { message: 'later' })
      assert.ok(refusal.error instanceof SpillwayError)
      assert.equal(refusal.error.response.headers['retry-after'], '1')
      assert.doesNotMatch(JSON.stringify(refusal.error), /later/)
    })

    it('conversations, users, limits and a login against the simulator, past its 429s', async (t) => {
      const script = [
        { request: 4, status: 429 },
        { request: 9, status: 503 },
      ]
      const simulator = await simulate(t, { quota: { requests: 10, perMs: 100 }, headers: 'none', retryAfter: 'zero', script })
      const sender = await open(t, simulator, { rateLimit: { requests: 10, perMs: 100 } })
      const client = clientFor(sdk, simulator.url)
      useSpillway(client, sender)
      const { accessToken } = await client.loginClientCredentialsGrant('client', 'secret')
      assert.match(accessToken, /^simulated-/)
      const conversations = new sdk.ConversationsApi(client)
      const calls = Array.from({ length: 20 }, () => [
        new sdk.UsersApi(client).getUsersMe(),
        conversations.postConversationsMessageCommunicationMessages('c', 'd', { textBody: 'hi' }),
        new sdk.OrganizationApi(client).getOrganizationsLimitsNamespace('platform.api'),
      ]).flat()
      const results = await Promise.all(calls)
      assert.equal(results[0].name, 'Spillway Simulator')
      assert.equal(results[2].entities[0].namespace, 'platform.api')
      assert.equal(simulator.ledger().accepted, 60)
      assert.equal(simulator.ledger().statuses[429], 1)
      const missing = await failure(new sdk.RoutingApi(client).getRoutingQueues())
      assert.equal(missing.code, 'not.found')
    })

    it('routing and analytics on a server that limits the rate', async (t) => {
      const arrivals = []
      const server = await echo(t, ({ url }, response) => {
        if (url.startsWith('/oauth')) return false
        const now = Date.now()
        const recent = arrivals.filter((at) => now - at < 200).length
        if (recent >= 5) {
          answerJson(response, 429, { message: 'Rate limit exceeded', code: 'too.many.requests' }, { 'Retry-After': '1' })
          return true
        }
        arrivals.push(now)
        return false
      })
      const sender = await openWithToken(t, server.url, { rateLimit: { requests: 5, perMs: 250 } })
      const client = clientFor(sdk, server.url)
      useSpillway(client, sender)
      const routing = new sdk.RoutingApi(client)
      const analytics = new sdk.AnalyticsApi(client)
      const calls = Array.from({ length: 10 }, (_, index) => [
        routing.getRoutingQueue(`queue-${index}`),
        analytics.postAnalyticsConversationsAggregatesQuery({ interval: `${index}`, metrics: ['nConnected'] }),
      ]).flat()
      const bodies = await Promise.all(calls)
      assert.deepEqual(bodies.filter(({ method }) => method === 'POST').map(({ body }) => JSON.parse(body).interval).length, 10)
      assert.equal(arrivals.length, 20)
      assert.equal(sender.stats().counters.throttled, 0)
    })

    it('sends logins and guests of web chats by its own client, outside the budget, with their own authorization', async (t) => {
      const server = await echo(t)
      const sender = await openWithToken(t, server.url, { rateLimit: { requests: 1, perMs: 600_000 } })
      const client = clientFor(sdk, server.url)
      useSpillway(client, sender)
      await client.loginClientCredentialsGrant('me', 'secret')
      await client.loginCodeAuthorizationGrant('me', 'secret', 'code', 'http://localhost/').catch(() => {})
      const logins = server.requests.splice(0)
      assert.equal(logins[0].body, 'grant_type=client_credentials')
      assert.equal(logins[0].headers.authorization, `Basic ${Buffer.from('me:secret').toString('base64')}`)
      assert.match(logins[1].body, /grant_type=authorization_code/)
      client.authentications['Guest Chat JWT'].apiKey = 'of-the-guest'
      await client.callApi(
        '/api/v2/webchat/guest/conversations/c/members',
        'GET',
        {},
        {},
        {},
        {},
        null,
        ['Guest Chat JWT'],
        ['application/json'],
        ['application/json'],
      )
      assert.equal(server.requests[0].headers.authorization, 'of-the-guest')
      assert.equal(sender.stats().counters.requests, 0)
    })

    it('one client an organization', async (t) => {
      const servers = await Promise.all([echo(t), echo(t)])
      const senders = await Promise.all(
        servers.map((server, index) => openWithToken(t, server.url, { credentials: { accessToken: `token-${index}` } })),
      )
      const clients = servers.map((server, index) => {
        const client = clientFor(sdk, server.url)
        useSpillway(client, senders[index])
        return client
      })
      await Promise.all(clients.map((client) => new sdk.UsersApi(client).getUsersMe()))
      servers.forEach((server, index) => {
        assert.deepEqual(
          server.requests.map(({ headers }) => headers.authorization),
          [`Bearer token-${index}`],
        )
      })
      // Another sender takes the place of the first.
      clients[0].setGateway(clients[1].config.gateway)
      useSpillway(clients[0], senders[1])
      await new sdk.UsersApi(clients[0]).getUsersMe()
      assert.equal(servers[1].requests.length, 2)
    })

    it('hooks', async (t) => {
      const server = await echo(t)
      const sender = await openWithToken(t, server.url)
      const client = clientFor(sdk, server.url)
      const httpClient = useSpillway(client, sender)
      const seen = []
      httpClient.setPreHook(async (config) => {
        seen.push([config.method, new URL(config.url).pathname, config.params])
        config.headers['X-Hook'] = 'pre'
        return config
      })
      httpClient.setPostHook((response) => {
        seen.push(response.status)
        return { ...response, data: { ...response.data, hooked: true } }
      })
      const me = await new sdk.UsersApi(client).getUsersMe({ expand: ['a'] })
      assert.equal(me.headers['x-hook'], 'pre')
      assert.equal(me.hooked, true)
      assert.deepEqual(seen, [['GET', '/api/v2/users/me', { expand: 'a' }], 200])
      httpClient.setPreHook(async (config) => void (config.headers['X-Hook'] = 'in place'))
      assert.equal((await new sdk.UsersApi(client).getUsersMe()).headers['x-hook'], 'in place')
      httpClient.setPreHook(async (_config) => {
        throw new Error('not today')
      })
      assert.equal((await failure(new sdk.UsersApi(client).getUsersMe())).message, 'not today')
      assert.throws(() => httpClient.setPreHook(() => {}), /preHook must be a function that accepts \(config\)/)
      assert.throws(() => httpClient.setPostHook('x'), /postHook must be a function that accepts \(response\)/)
    })

    it('timeouts: of the ApiClient, or of the HTTP client', async (t) => {
      const { url } = await serve(t, (request, response) => request.url === '/warm' && response.end())
      const sender = await openWithToken(t, url, { retry: { maxAttempts: 1 } })
      // Connecting takes its part of the time; a connection that is there takes none.
      const warm = () => sender.request({ method: 'GET', path: '/warm' })
      const client = clientFor(sdk, url)
      client.timeout = 60
      const httpClient = useSpillway(client, sender)
      await warm()
      const error = await failure(new sdk.UsersApi(client).getUsersMe())
      assert.match(error.message, /no answer within 60 ms/)
      assert.equal(error.code, 'DELIVERY_EXHAUSTED')
      httpClient.setTimeout(70)
      await warm()
      assert.match((await failure(new sdk.UsersApi(client).getUsersMe())).message, /no answer within 70 ms/)
      assert.throws(() => httpClient.setTimeout('x'), /must be a number/)
    })

    it('a proxy comes by the environment; an agent is refused, unless it only tunes connections', async (t) => {
      const server = await echo(t)
      const sender = await openWithToken(t, server.url)
      const client = clientFor(sdk, server.url)
      useSpillway(client, sender)
      client.setProxyAgent(new https.Agent({ keepAlive: true }))
      client.setProxyAgent(new http.Agent())
      class ProxyAgent extends http.Agent {}
      assert.throws(() => client.setProxyAgent(new ProxyAgent()), { name: 'ConfigError', message: /HTTPS_PROXY/ })
      assert.throws(() => client.setProxyAgent(new https.Agent({ cert: 'c', key: 'k' })), { name: 'ConfigError', message: /certificates/ })
      const other = clientFor(sdk, server.url)
      other.setProxyAgent(new ProxyAgent())
      assert.throws(() => useSpillway(other, sender), /HTTPS_PROXY/)
      process.env.HTTPS_PROXY = 'http://127.0.0.1:1'
      try {
        useSpillway(other, sender)
      } finally {
        delete process.env.HTTPS_PROXY
      }
    })

    it('a gateway with paths', async (t) => {
      const server = await echo(t, ({ url }, response) => {
        if (url.startsWith('/to-login')) answerJson(response, 200, { access_token: 'minted', expires_in: 60 })
        return url.startsWith('/to-login')
      })
      const sender = await openWithToken(t, server.url, { apiUrl: `${server.url}/to-api`, loginUrl: `${server.url}/to-login` })
      const client = clientFor(sdk, server.url, { path_params_api: 'to-api', path_params_login: 'to-login' })
      useSpillway(client, sender)
      assert.equal((await client.loginClientCredentialsGrant('a', 'b')).accessToken, 'minted')
      assert.equal((await new sdk.UsersApi(client).getUsersMe()).url, '/to-api/api/v2/users/me')
    })

    it('a client of another organization is refused, and gets no token', async (t) => {
      const mine = await echo(t)
      const foreign = await echo(t)
      const sender = await openWithToken(t, mine.url)
      const client = clientFor(sdk, foreign.url)
      useSpillway(client, sender)
      const error = await failure(new sdk.UsersApi(client).getUsersMe())
      assert.ok(error instanceof ConfigError)
      assert.ok(error.message.includes(mine.url) && error.message.includes(foreign.url), error.message)
      assert.deepEqual([mine.requests, foreign.requests], [[], []])
    })

    it('follows a redirect to a download on another host without the token', async (t) => {
      const store = await echo(t)
      const server = await echo(t, (_request, response) => {
        response.writeHead(302, { location: `${store.url}/file?signature=s` }).end()
        return true
      })
      const sender = await openWithToken(t, server.url)
      const client = clientFor(sdk, server.url)
      client.setAccessToken('of-the-client')
      useSpillway(client, sender)
      const file = await client.callApi(
        '/api/v2/downloads/1',
        'GET',
        {},
        { a: 'b' },
        {},
        {},
        null,
        ['PureCloud OAuth'],
        ['application/json'],
        ['application/json'],
      )
      assert.equal(file.url, '/file?signature=s')
      assert.equal(file.headers.authorization, undefined)
    })

    it('closed senders, and bodies and answers that are too long', async (t) => {
      const server = await echo(t)
      const sender = await openWithToken(t, server.url)
      const client = clientFor(sdk, server.url)
      useSpillway(client, sender, { maxBodyBytes: 1_000, maxResponseBytes: 2_000 })
      const users = new sdk.UsersApi(client)
      const long = await failure(users.patchUser('u', { name: 'x'.repeat(1_000) }))
      assert.match(long.message, /maxBodyBytes/)
      const huge = await failure(users.patchUser('u'.repeat(3_000), { name: 'x' }))
      assert.equal(huge.code, 'DELIVERY_RESPONSE_TOO_LARGE')
      await sender.close({ timeoutMs: 0 })
      assert.equal((await failure(users.getUsersMe())).code, 'CLOSED')
    })

    it('the class, for setHttpClient', async (t) => {
      const server = await echo(t)
      const sender = await openWithToken(t, server.url)
      const client = clientFor(sdk, server.url)
      const httpClient = new SpillwayHttpClient(client, sender, { priority: 10 })
      assert.ok(httpClient instanceof SpillwayHttpClient)
      assert.ok(httpClient instanceof sdk.AbstractHttpClient)
      assert.ok(!(client.getHttpClient() instanceof SpillwayHttpClient))
      client.setHttpClient(httpClient)
      assert.equal((await new sdk.UsersApi(client).getUsersMe()).url, '/api/v2/users/me')
    })
  })
}

describe('useSpillway', () => {
  it('names the version that is needed', () => {
    const old = { callApi() {} }
    assert.throws(() => useSpillway(old, {}), {
      name: 'ConfigError',
      field: 'apiClient',
      message: 'apiClient must have setHttpClient: purecloud-platform-client-v2 211.0.0 or newer is needed',
    })
    assert.throws(() => useSpillway(undefined, {}), /apiClient must be an ApiClient/)
  })

  it('checks the sender and the options', () => {
    const client = new (require(VERSIONS['262.0.0']).ApiClientClass)()
    assert.throws(() => useSpillway(client, {}), /sender must be a Sender/)
  })
})

/** What must differ is left out: the dates, and the kind of the error. */
function comparable({ status, statusText, headers, body, error }) {
  const { date, connection, 'keep-alive': _, 'transfer-encoding': __, ...others } = { ...headers }
  return { status, statusText, headers: others, body, failed: error !== null, message: error?.message }
}
