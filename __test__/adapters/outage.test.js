'use strict'

// In an outage of the organization the `retry` of a call bounds how long it waits, and messages wait on.

const assert = require('node:assert/strict')
const { describe, it } = require('node:test')

const axios = require('axios')
const platformClient = require('purecloud-platform-client-v2')

const { DeliveryError } = require('../../index.js')
const { createAdapter } = require('../../lib/adapters/axios/index.js')
const { createFetch } = require('../../lib/adapters/fetch/index.js')
const { useSpillway } = require('../../lib/adapters/sdk/index.js')
const { answerJson, failure, ignore, message, serve, until } = require('../http/support.js')
const { openWithToken } = require('./support.js')

const BODY = { code: 'service.unavailable', message: 'down for maintenance' }
/** More attempts than one, which take 0.3 s on average. */
const FEW = { maxAttempts: 3 }

/** The clients of a sender, each with the same options for its calls. */
function clientsOf(sender, url, options) {
  const client = new platformClient.ApiClientClass()
  const { hostname, port } = new URL(url)
  client.setGateway({ protocol: 'http', host: hostname, port: Number(port) })
  client.setReturnExtendedResponses(true)
  useSpillway(client, sender, options)
  const http = axios.create({ baseURL: url, adapter: createAdapter(sender, options) })
  const fetch = createFetch(sender, options)
  const json = ['application/json']
  return {
    request: (path) => sender.request({ method: 'GET', path, ...options }),
    axios: (path) => http.get(path),
    fetch: (path) => fetch(url + path),
    sdk: (path) => client.callApi(path, 'GET', {}, {}, {}, {}, null, [], json, json),
  }
}

/** Makes calls of several routes fail until that is an outage of the organization. A message waits in it, for as long as it lasts. */
async function bringDown(sender) {
  ignore(sender.send(message('waits')))
  // Wait for the message's answer first: calls report the latest response, and those to messages are kept without headers.
  await until(() => sender.stats().counters.requests >= 1 && sender.stats().queue.inFlight === 0)
  const calls = Array.from({ length: 12 }, (_, index) =>
    failure(sender.request({ method: 'GET', path: `/api/v2/${'abcd'[index % 4]}`, retry: false })),
  )
  await Promise.all(calls)
  await until(() => sender.stats().outages.some(({ route }) => route === null))
}

/** What each client's caller gets of a call that ends with this status and body. */
const TELLS = {
  request(error, { attempts }) {
    assert.ok(error instanceof DeliveryError, String(error))
    assert.deepEqual([error.code, error.status, error.response, error.ambiguous], ['DELIVERY_EXHAUSTED', 503, BODY, false])
    assert.equal(error.attempts, attempts)
    assert.match(error.message, /not sent because of an outage/)
  },
  axios(error) {
    assert.ok(axios.isAxiosError(error), String(error))
    assert.deepEqual([error.code, error.response.status, error.response.data], ['ERR_BAD_RESPONSE', 503, BODY])
    assert.match(error.response.headers['content-type'], /json/)
  },
  async fetch(response) {
    assert.deepEqual([response.status, response.ok, await response.json()], [503, false, BODY])
  },
  sdk(error) {
    assert.deepEqual([error.status, error.body], [503, BODY])
  },
}

const HAVE_NO_ANSWER = {
  request(error) {
    assert.deepEqual([error.code, error.status], ['DELIVERY_EXHAUSTED', null])
    assert.match(error.message, /refused/i)
  },
  axios(error) {
    assert.ok(axios.isAxiosError(error), String(error))
    assert.deepEqual([error.code, error.response], ['ECONNREFUSED', undefined])
  },
  fetch(error) {
    assert.ok(error instanceof TypeError, String(error))
    assert.equal(error.cause.code, 'DELIVERY_EXHAUSTED')
  },
  sdk(error) {
    assert.equal((error.error ?? error).code, 'DELIVERY_EXHAUSTED')
  },
}

/** Of a call, what it resolves or rejects with. */
const outcome = (promise) =>
  promise.then(
    (value) => value,
    (error) => error,
  )

describe('an outage of the organization', () => {
  for (const [name, options] of [
    ['with a single attempt', { retry: false }],
    ['with a few', { retry: FEW }],
    ['with those of the sender', {}],
  ]) {
    it(`ends a call ${name}, unsent, with the answer that it gives to everybody`, async (t) => {
      let requests = 0
      let isDown = true
      const { url } = await serve(t, (request, response) => {
        request.resume()
        requests += 1
        // The next probe is far away, so that none of the calls is it.
        answerJson(response, isDown ? 503 : 200, isDown ? BODY : {}, isDown ? { 'retry-after': '120' } : {})
      })
      const sender = await openWithToken(t, url, { retry: FEW })
      await bringDown(sender)
      const before = requests
      const clients = clientsOf(sender, url, options)
      for (const [client, call] of Object.entries(clients)) {
        await TELLS[client](await outcome(call('/api/v2/users/me')), { attempts: 0 })
      }
      assert.equal(requests, before, 'nothing was sent')
      assert.equal(sender.stats().queue.messages, 1, 'the message waits')
      isDown = false
      await sender.resume()
      // The message probes, which a call with a single attempt would not wait for.
      await until(() => sender.stats().outage === null)
      assert.equal((await clients.fetch('/api/v2/users/me')).status, 200)
    })
  }

  it('ends calls with the code of the network where nothing answers', async (t) => {
    // Nobody has this port.
    const url = 'http://127.0.0.1:1'
    const sender = await openWithToken(t, url, { retry: FEW })
    await bringDown(sender)
    for (const options of [{ retry: false }, {}]) {
      for (const [client, call] of Object.entries(clientsOf(sender, url, options))) {
        HAVE_NO_ANSWER[client](await outcome(call('/api/v2/users/me')))
      }
    }
    assert.equal(sender.stats().queue.messages, 1)
  })

  it('of the login host ends calls, too', async (t) => {
    const { url } = await serve(t, (request, response) => {
      request.resume()
      answerJson(response, request.url.startsWith('/oauth/token') ? 500 : 200, {})
    })
    const sender = await openWithToken(t, url, { credentials: { clientId: 'a', clientSecret: 'b' } })
    ignore(sender.send(message('waits')))
    await until(() => sender.stats().outage?.reason === 'token')
    const clients = clientsOf(sender, url, { retry: false })
    const error = await failure(clients.request('/api/v2/users/me'))
    assert.deepEqual([error.code, error.status, error.attempts], ['DELIVERY_EXHAUSTED', null, 0])
    assert.match(error.message, /there is no access token/)
    assert.ok(axios.isAxiosError(await failure(clients.axios('/api/v2/users/me'))))
    assert.ok((await failure(clients.fetch('/api/v2/users/me'))) instanceof TypeError)
    await failure(clients.sdk('/api/v2/users/me'))
  })

  it('leaves a canceled call to its signal', async (t) => {
    const { url } = await serve(t, (request, response) => {
      request.resume()
      answerJson(response, 503, BODY, { 'retry-after': '120' })
    })
    const sender = await openWithToken(t, url)
    await bringDown(sender)
    const controller = new AbortController()
    const call = createFetch(sender, { retry: { maxAttempts: 10 } })(`${url}/api/v2/users/me`, { signal: controller.signal })
    controller.abort(new Error('no longer wanted'))
    assert.equal((await failure(call)).message, 'no longer wanted')
    assert.equal((await failure(sender.request({ method: 'GET', path: '/api/v2/x', retry: false }))).code, 'DELIVERY_EXHAUSTED')
  })
})
