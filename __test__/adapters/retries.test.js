'use strict'

// Which statuses the calls of the adapters repeat, and when.

const assert = require('node:assert/strict')
const { performance } = require('node:perf_hooks')
const { describe, it } = require('node:test')

const axios = require('axios')
const platformClient = require('purecloud-platform-client-v2')

const { createAdapter } = require('../../lib/adapters/axios/index.js')
const { createFetch } = require('../../lib/adapters/fetch/index.js')
const { useSpillway } = require('../../lib/adapters/sdk/index.js')
const { answerJson, serve } = require('../http/support.js')
const { openWithToken } = require('./support.js')

/** The status that the caller of each client sees. */
function clientsOf(sender, url) {
  const client = new platformClient.ApiClientClass()
  const { hostname, port } = new URL(url)
  client.setGateway({ protocol: 'http', host: hostname, port: Number(port) })
  client.setReturnExtendedResponses(true)
  useSpillway(client, sender)
  const http = axios.create({ baseURL: url, adapter: createAdapter(sender), validateStatus: null })
  const fetch = createFetch(sender)
  const json = ['application/json']
  const statusOf = (promise) => promise.then(({ status }) => status)
  return {
    axios: (path) => statusOf(http.get(path)),
    fetch: (path) => statusOf(fetch(url + path)),
    sdk: (path) => statusOf(client.callApi(path, 'GET', {}, {}, {}, {}, null, [], json, json).catch((error) => error)),
    request: (path) => statusOf(sender.request({ method: 'GET', path }).catch((error) => error)),
  }
}

/** Answers the first request of each path with `status` and these headers, and every other with 200. */
async function failingOnce(t, status, headers) {
  const times = new Map()
  const { url } = await serve(t, (request, response) => {
    request.resume()
    const known = times.get(request.url) ?? []
    times.set(request.url, [...known, performance.now()])
    answerJson(response, known.length === 0 ? status : 200, {}, known.length === 0 ? headers : {})
  })
  return { url, times }
}

describe('retry.statuses', () => {
  for (const status of [404, 409, 418, 501]) {
    it(`repeats calls of every adapter that are answered with ${status}`, async (t) => {
      const { url, times } = await failingOnce(t, status)
      const repeating = clientsOf(await openWithToken(t, url, { retry: { statuses: [status] } }), url)
      const ordinary = clientsOf(await openWithToken(t, url), url)
      for (const client of Object.keys(repeating)) {
        assert.equal(await repeating[client](`/api/v2/a/${client}`), 200, client)
        assert.equal(times.get(`/api/v2/a/${client}`).length, 2, client)
        assert.equal(await ordinary[client](`/api/v2/b/${client}`), status, client)
        assert.equal(times.get(`/api/v2/b/${client}`).length, 1, client)
      }
    })
  }
})

describe('Retry-After', () => {
  for (const status of [408, 500, 502, 503, 504]) {
    it(`counts for calls of every adapter that are answered with ${status}`, async (t) => {
      const { url, times } = await failingOnce(t, status, { 'retry-after': '1' })
      const clients = clientsOf(await openWithToken(t, url), url)
      await Promise.all(
        Object.entries(clients).map(async ([client, call]) => {
          assert.equal(await call(`/api/v2/${client}`), 200, client)
        }),
      )
      for (const [path, [first, second]] of times) {
        // The server's clock and the sender's are read in their own grain.
        assert.ok(second - first >= 998, `${path} came again after ${second - first} ms`)
      }
    })
  }
})
