'use strict'

// Every option of axios' request config: honored, without effect in axios' own http adapter either, or refused by name.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const http = require('node:http')
const https = require('node:https')
const { join } = require('node:path')
const { describe, it } = require('node:test')

const axios = require('axios')

const { createAdapter } = require('spillway/axios')
const { proxyVariable } = require('../../lib/adapters/proxy.js')
const { failure } = require('../http/support.js')
const { echo, openWithToken } = require('./support.js')

class OwnAgent extends http.Agent {}
const patched = new http.Agent()
patched.createConnection = () => {}

/** By the field that the error names. */
const REFUSED = {
  auth: [{ auth: { username: 'a', password: 'b' } }],
  'headers.Authorization': [
    { headers: { Authorization: 'Bearer mine' } },
    { headers: { authorization: 'Bearer mine' } },
    { headers: { AUTHORIZATION: '' } },
  ],
  'headers.Proxy-Authorization': [{ headers: { 'proxy-authorization': 'Basic x' } }],
  'headers.Host': [{ headers: { Host: 'example.org' } }],
  socketPath: [{ socketPath: '/run/x.sock' }],
  transport: [{ transport: { request() {} } }],
  lookup: [{ lookup: (_host, _options, callback) => callback(null, '127.0.0.1', 4) }, { lookup: async () => ['127.0.0.1', 4] }],
  family: [{ family: 4 }, { family: 6 }],
  insecureHTTPParser: [{ insecureHTTPParser: true }],
  maxRate: [{ maxRate: 1_000 }, { maxRate: [1_000, undefined] }, { maxRate: [undefined, 1_000] }],
  httpVersion: [{ httpVersion: 2 }, { httpVersion: '2' }],
  proxy: [
    { proxy: { host: '127.0.0.1', port: 9 } },
    { proxy: { protocol: 'https', host: 'proxy', port: 9, auth: { username: 'a', password: 'b' } } },
  ],
  httpAgent: [
    { httpAgent: new http.Agent({ lookup() {} }) },
    { httpAgent: new http.Agent({ localAddress: '127.0.0.9' }) },
    { httpAgent: new http.Agent({ family: 6 }) },
    { httpAgent: new http.Agent({ socketPath: '/run/x.sock' }) },
    { httpAgent: new http.Agent({ proxyEnv: { HTTP_PROXY: 'http://127.0.0.1:9' } }) },
    { httpAgent: new https.Agent({ ca: 'x' }) },
    { httpAgent: new https.Agent({ rejectUnauthorized: false }) },
    { httpAgent: new https.Agent({ servername: 'example.org' }) },
    { httpAgent: new OwnAgent() },
    { httpAgent: patched },
    { httpAgent: { addRequest() {} } },
  ],
}

/** What looks like the above, and changes nothing. */
const TAKEN = [
  { auth: undefined },
  { auth: null },
  { headers: { Authorization: undefined } },
  { headers: { Authorization: null } },
  { headers: { Authorization: false } },
  { socketPath: null },
  { lookup: undefined },
  { family: undefined },
  { family: 0 },
  { insecureHTTPParser: false },
  { maxRate: undefined },
  { maxRate: Infinity },
  { maxRate: [undefined, undefined] },
  { httpVersion: 1 },
  { proxy: undefined },
  { proxy: null },
  { proxy: false },
  { httpAgent: undefined },
  { httpAgent: new http.Agent() },
  { httpAgent: new http.Agent({ keepAlive: true, maxSockets: 5, maxFreeSockets: 1, scheduling: 'fifo', timeout: 1_000 }) },
  { httpAgent: http.globalAgent },
  // For another scheme than the API's, axios doesn't use it either.
  { httpsAgent: new https.Agent({ ca: 'x' }) },
  { allowedSocketPaths: ['/run/x.sock'] },
  { http2Options: { sessionTimeout: 1 } },
]

describe('options of axios that are refused by name', () => {
  for (const [field, configs] of Object.entries(REFUSED)) {
    it(field, async (t) => {
      const server = await echo(t)
      const adapter = createAdapter(await openWithToken(t, server.url))
      for (const config of configs) {
        const error = await failure(axios.post(`${server.url}/x`, { a: 1 }, { adapter, ...config }))
        assert.ok(axios.isAxiosError(error), error.stack)
        assert.deepEqual(
          [error.name, error.code, error.cause.name, error.cause.field],
          ['AxiosError', 'ERR_NOT_SUPPORT', 'ConfigError', field],
        )
        assert.ok(error.message.startsWith(`${field} `), error.message)
        assert.ok(error.config && error.request && error.response === undefined)
        assert.doesNotMatch(error.message, /mine|Basic/)
      }
      assert.deepEqual(server.requests, [])
    })
  }

  it('a user name or a password in the URL', async (t) => {
    const server = await echo(t)
    const adapter = createAdapter(await openWithToken(t, server.url))
    const error = await failure(axios.get(server.url.replace('//', '//name:secret@'), { adapter }))
    assert.deepEqual([error.code, error.cause.field], ['ERR_NOT_SUPPORT', 'url'])
    assert.doesNotMatch(error.message, /name:|secret/)
    assert.deepEqual(server.requests, [])
  })

  it('none of them for another host, where axios itself makes the call', async (t) => {
    const [server, other] = [await echo(t), await echo(t)]
    const adapter = createAdapter(await openWithToken(t, server.url), { otherHosts: 'pass' })
    const { data } = await axios.get(`${other.url}/x`, { adapter, httpAgent: new OwnAgent(), auth: { username: 'a', password: 'b' } })
    assert.equal(data.headers.authorization, 'Basic YTpi')
  })

  it('nothing that changes nothing', async (t) => {
    const server = await echo(t)
    const adapter = createAdapter(await openWithToken(t, server.url))
    for (const config of TAKEN) assert.equal((await axios.get(`${server.url}/x`, { adapter, ...config })).status, 200)
  })
})

describe('a proxy of the environment', () => {
  const proxied = { HTTPS_PROXY: 'http://proxy:1' }
  for (const [name, url, env, variable] of [
    ['of the scheme', 'https://api.example.org', proxied, 'HTTPS_PROXY'],
    ['of another scheme', 'http://api.example.org', proxied, undefined],
    ['of all', 'http://api.example.org', { all_proxy: 'http://proxy:1' }, 'all_proxy'],
    ['that is empty', 'https://api.example.org', { HTTPS_PROXY: '' }, undefined],
    ['except for this host', 'https://api.example.org', { ...proxied, NO_PROXY: 'x, api.example.org' }, undefined],
    ['except for this domain', 'https://api.example.org', { ...proxied, no_proxy: '.example.org' }, undefined],
    ['except for this domain, by a star', 'https://api.example.org', { ...proxied, NO_PROXY: '*.example.org' }, undefined],
    ['except for all', 'https://api.example.org', { ...proxied, NO_PROXY: '*' }, undefined],
    ['except for a host that ends alike', 'https://myexample.org', { ...proxied, NO_PROXY: 'example.org' }, 'HTTPS_PROXY'],
  ]) {
    it(name, () => assert.equal(proxyVariable(url, env), variable))
  }

  it('proxy: false is refused where the sender would use one', async (t) => {
    const server = await echo(t)
    const adapter = createAdapter(await openWithToken(t, server.url))
    const before = { ...process.env }
    t.after(() => Object.assign(process.env, before))
    for (const name of ['NO_PROXY', 'no_proxy']) delete process.env[name]
    process.env.http_proxy = 'http://127.0.0.1:9'
    const error = await failure(axios.get(server.url, { adapter, proxy: false }))
    if (before.http_proxy === undefined) delete process.env.http_proxy
    assert.match(error.message, /^proxy false .*http_proxy: name the API's host in NO_PROXY/)
    assert.deepEqual(server.requests, [])
  })
})

describe('docs/adapters.md', () => {
  const docs = readFileSync(join(__dirname, '../../docs/adapters.md'), 'utf8')
  const [, section] = docs.split(/^## axios$/m)
  const named = new Set([...section.split(/^## /m)[0].matchAll(/`([\w.]+)`/g)].map(([, name]) => name))
  for (const [version, name] of Object.entries({ 1.21: 'axios', 1.5: 'axios-1.5' })) {
    it(`says of every option of axios ${version} what becomes of it`, () => {
      const types = readFileSync(require.resolve(name).replace(/dist.*/, 'index.d.ts'), 'utf8')
      const [, body] = /export interface AxiosRequestConfig<[^{]*> \{\n([\s\S]*?)\n\}/.exec(types)
      const options = [...body.matchAll(/^ {2}(\w+)\?:/gm)].map(([, option]) => option)
      assert.ok(options.length > 30, `${options}`)
      assert.deepEqual(
        options.filter((option) => !named.has(option)),
        [],
      )
    })
  }
})
