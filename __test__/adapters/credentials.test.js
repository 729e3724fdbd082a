'use strict'

// A caller's own credentials are refused by name: neither replaced by the sender's token nor left out silently.

const assert = require('node:assert/strict')
const { describe, it } = require('node:test')

const axios = require('axios')
const platformClient = require('purecloud-platform-client-v2')

const { ConfigError } = require('../../index.js')
const { createAdapter } = require('../../lib/adapters/axios/index.js')
const { createFetch } = require('../../lib/adapters/fetch/index.js')
const { useSpillway } = require('../../lib/adapters/sdk/index.js')
const { failure } = require('../http/support.js')
const { echo, openWithToken } = require('./support.js')

const NAMES = ['Authorization', 'authorization', 'AUTHORIZATION', 'aUthorization', 'Proxy-Authorization', 'proxy-authorization']
const VALUES = ['Bearer mine', 'Basic bWluZTptaW5l', 'Bearer of-the-sender', '']

/** Every way in which a program gives a header: by adapter, as calls that get `(through, url, name, value)`. */
const WAYS = {
  'axios, a plain object': (through, url, name, value) => through.axios.get(url, { headers: { [name]: value } }),
  'axios, AxiosHeaders': (through, url, name, value) => through.axios.get(url, { headers: new axios.AxiosHeaders({ [name]: value }) }),
  'axios, Headers': (through, url, name, value) => through.axios.get(url, { headers: new Headers({ [name]: value }) }),
  'axios, defaults of an instance': (through, url, name, value) => through.axios.create({ headers: { [name]: value } }).get(url),
  'axios, common defaults': (through, url, name, value) => {
    const http = through.axios.create()
    http.defaults.headers.common[name] = value
    return http.get(url)
  },
  'axios, an interceptor': (through, url, name, value) => {
    const http = through.axios.create()
    http.interceptors.request.use((config) => (config.headers.set(name, value), config))
    return http.get(url)
  },
  'axios, transformRequest': (through, url, name, value) =>
    through.axios.post(url, 'x', { transformRequest: [(data, headers) => (headers.set(name, value), data)] }),
  'fetch, a plain object': (through, url, name, value) => through.fetch(url, { headers: { [name]: value } }),
  'fetch, pairs': (through, url, name, value) => through.fetch(url, { headers: [[name, value]] }),
  'fetch, Headers': (through, url, name, value) => through.fetch(url, { headers: new Headers({ [name]: value }) }),
  'fetch, a Request': (through, url, name, value) => through.fetch(new Request(url, { headers: { [name]: value } })),
  'fetch, a Request and an init': (through, url, name, value) => through.fetch(new Request(url), { headers: { [name]: value } }),
  'sdk, customHeaders': (through, path, name, value) => sdkCall(through.client, path, { [name]: value }),
  'sdk, default headers': (through, path, name, value) => {
    through.client.defaultHeaders = { [name]: value }
    return sdkCall(through.client, path, {}).finally(() => (through.client.defaultHeaders = {}))
  },
  'sdk, a hook': (through, path, name, value) => {
    through.hooked.setPreHook((config) => ({ ...config, headers: { ...config.headers, [name]: value } }))
    return sdkCall(through.client, path, {}).finally(() => through.hooked.setPreHook((config) => config))
  },
}

function sdkCall(client, path, headers) {
  const json = ['application/json']
  return client.callApi(path, 'GET', {}, {}, headers, {}, null, ['PureCloud OAuth'], json, json)
}

async function adapters(t, respond) {
  const server = await echo(t, respond)
  const sender = await openWithToken(t, server.url)
  const client = new platformClient.ApiClientClass()
  const { protocol, hostname, port } = new URL(server.url)
  client.setGateway({ protocol: protocol.slice(0, -1), host: hostname, port })
  client.setAccessToken('of-the-client')
  const hooked = useSpillway(client, sender)
  const through = { axios: axios.create({ adapter: createAdapter(sender) }), fetch: createFetch(sender), client, hooked }
  return { server, through }
}

describe("a caller's own credentials", () => {
  it('are refused by every adapter, however they are given and spelled', async (t) => {
    const { server, through } = await adapters(t)
    for (const [way, call] of Object.entries(WAYS)) {
      const url = way.startsWith('sdk') ? '/api/v2/x' : `${server.url}/api/v2/x`
      for (const name of NAMES) {
        for (const value of VALUES) {
          const error = await failure(call(through, url, name, value))
          const refusal = error instanceof ConfigError ? error : error.cause
          const what = `${way}: ${name}: ${value}`
          assert.ok(refusal instanceof ConfigError, `${what}: ${error}`)
          assert.equal(refusal.field.toLowerCase(), `headers.${name.toLowerCase()}`, what)
          assert.doesNotMatch(`${error.message} ${refusal.message}`, /mine|bWlu/, what)
        }
      }
    }
    assert.deepEqual(server.requests, [], 'nothing was sent')
  })

  it('are refused where a hook adds them to a redirect within the API, and taken elsewhere untouched', async (t) => {
    const foreign = await echo(t)
    let location = '/api/v2/there'
    const redirect = ({ url }, response) => url === '/api/v2/x' && (response.writeHead(302, { location }).end(), true)
    const { server, through } = await adapters(t, redirect)
    for (const name of NAMES) {
      const beforeRedirect = (options) => {
        options.headers[name] = 'Bearer mine'
      }
      const error = await failure(through.axios.get(`${server.url}/api/v2/x`, { beforeRedirect }))
      assert.ok(axios.isAxiosError(error), `${name}: ${error}`)
      assert.equal(error.cause.field.toLowerCase(), `headers.${name.toLowerCase()}`)
    }
    assert.deepEqual(new Set(server.requests.map(({ url }) => url)), new Set(['/api/v2/x']))

    location = `${foreign.url}/file`
    const beforeRedirect = (options) => {
      options.headers.Authorization = 'Bearer mine'
    }
    const passing = axios.create({ adapter: createAdapter(await openWithToken(t, server.url), { otherHosts: 'pass' }) })
    await passing.get(`${server.url}/api/v2/x`, { beforeRedirect })
    assert.equal(foreign.requests.at(-1).headers.authorization, 'Bearer mine')
  })

  it('give way to the token of the sender on every redirect within the API, and never leave with it', async (t) => {
    const foreign = await echo(t)
    let location = '/api/v2/there'
    const redirect = ({ url }, response) => url === '/api/v2/x' && (response.writeHead(307, { location }).end(), true)
    const { server, through } = await adapters(t, redirect)
    const passing = axios.create({ adapter: createAdapter(await openWithToken(t, server.url), { otherHosts: 'pass' }) })
    const calls = [
      () => passing.get(`${server.url}/api/v2/x`),
      () => through.fetch(`${server.url}/api/v2/x`),
      () => sdkCall(through.client, '/api/v2/x', {}),
    ]
    for (const call of calls) {
      location = '/api/v2/there'
      await call()
      assert.deepEqual(
        server.requests.splice(0).map(({ headers }) => headers.authorization),
        ['Bearer of-the-sender', 'Bearer of-the-sender'],
      )
      location = `${foreign.url}/file`
      await call()
      assert.equal(foreign.requests.pop().headers.authorization, undefined)
      server.requests.splice(0)
    }
  })

  it('are no credentials where they have no value', async (t) => {
    const { server, through } = await adapters(t)
    for (const value of [undefined, null, false]) {
      const { data } = await through.axios.get(`${server.url}/api/v2/x`, { headers: { Authorization: value } })
      assert.equal(data.headers.authorization, 'Bearer of-the-sender')
    }
    through.hooked.setPreHook((config) => ({ ...config, headers: { ...config.headers, Authorization: undefined } }))
    assert.equal((await sdkCall(through.client, '/api/v2/x', {})).headers.authorization, 'Bearer of-the-sender')
  })
})
