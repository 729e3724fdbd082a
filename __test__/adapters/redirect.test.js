'use strict'

// What a redirect may lead to, whichever adapter follows it.

const assert = require('node:assert/strict')
const { describe, it } = require('node:test')

const axios = require('axios')
const platformClient = require('purecloud-platform-client-v2')

const { createAdapter } = require('spillway/axios')
const { createFetch } = require('spillway/fetch')
const { useSpillway } = require('spillway/sdk')
const { failure } = require('../http/support.js')
const { echo, openWithToken } = require('./support.js')

const PATH = '/api/v2/users/me'
/** One GET by each adapter, with everything allowed that may be allowed. */
const CLIENTS = {
  'spillway/axios': (sender, url) => axios.get(url + PATH, { adapter: createAdapter(sender, { otherHosts: 'pass' }) }),
  'spillway/fetch': (sender, url) => createFetch(sender)(url + PATH),
  'spillway/sdk': (sender, url) => {
    const { hostname: host, port } = new URL(url)
    const client = new platformClient.ApiClientClass()
    client.setGateway({ host, protocol: 'http', port: Number(port) })
    useSpillway(client, sender)
    return client.callApi(PATH, 'GET', {}, {}, {}, {}, undefined, [], ['application/json'], ['application/json'])
  },
}
const NOT_FOLLOWED = {
  'data:': 'data:application/json,{"forged":true}',
  'data: in capitals': 'DATA:application/json,{"forged":true}',
  'file:': 'file:///etc/hostname',
  'ftp:': 'ftp://127.0.0.1/x',
  'javascript:': 'javascript:1',
  'blob:': 'blob:nodedata:1',
  'mailto:': 'mailto:a@example.org',
  'ws:': 'ws://127.0.0.1/x',
  'no URL': 'http://[',
}

describe('a redirect that is never followed', () => {
  for (const [client, call] of Object.entries(CLIENTS)) {
    for (const [name, location] of Object.entries(NOT_FOLLOWED)) {
      it(`${client}: ${name}`, async (t) => {
        const server = await echo(t, (_got, response) => response.writeHead(302, { location }).end() && true)
        const sender = await openWithToken(t, server.url)
        const error = await failure(call(sender, server.url))
        const redirect = error.code === 'ERR_FR_REDIRECTION_FAILURE' ? error : error.cause
        assert.equal(redirect.code, 'ERR_FR_REDIRECTION_FAILURE')
        assert.match(redirect.message, /^Redirected request failed: (Unsupported protocol [a-z]+:|Invalid URL)/)
        assert.equal(server.requests.length, 1)
      })
    }
  }
})
