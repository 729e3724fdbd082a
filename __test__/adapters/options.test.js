'use strict'

// The options that all adapters share, for all calls and for one.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { describe, it } = require('node:test')

const axios = require('axios')
const sdk = require('purecloud-platform-client-v2')

const { createAdapter } = require('spillway/axios')
const { createFetch } = require('spillway/fetch')
const { useSpillway } = require('spillway/sdk')
const { answerJson, failure, serve } = require('../http/support.js')
const { echo, openWithToken } = require('./support.js')

/** Each makes `post(call)`: a POST through the adapter with options, and with those of the call. Gives the status, or rejects. */
const ADAPTERS = {
  fetch: (sender, url, options) => {
    const fetch = createFetch(sender, options)
    return async (spillway) => (await fetch(`${url}/api/v2/x`, { method: 'POST', body: '{}', spillway })).status
  },
  axios: (sender, url, options) => {
    const http = axios.create({ baseURL: url, adapter: createAdapter(sender, options), validateStatus: null })
    return async (spillway) => (await http.post('/api/v2/x', {}, { spillway })).status
  },
  sdk: (sender, url, options) => {
    const client = new sdk.ApiClientClass()
    client.config.basePath = url
    const httpClient = useSpillway(client, sender, options)
    return async (spillway) => {
      httpClient.setPreHook((config) => ({ ...config, spillway }))
      // Of 2xx the SDK gives the body alone.
      return callApi(client, 'POST', {}).then(
        () => 200,
        (error) => error.status ?? Promise.reject(error),
      )
    }
  },
}

function callApi(client, method, body) {
  return client.callApi('/api/v2/x', method, {}, {}, {}, {}, body, ['PureCloud OAuth'], ['application/json'], ['application/json'])
}

const REFUSED = [
  [{ retry: true }, /^retry must be false or an object/],
  [{ retry: { maxAttempts: 0 } }, /^retry\.maxAttempts must be an integer from 1 to 1000, got 0/],
  [{ retry: { statuses: [] } }, /^"statuses" is not a key of retry/],
  [{ deadlineMs: 0 }, /^deadlineMs must be a number of milliseconds above 0/],
  [{ deadlineMs: Infinity }, /^deadlineMs must be a number of milliseconds above 0/],
]
const timeout = (error) => [error, error.cause].some((each) => each?.code === 'DELIVERY_TIMEOUT')

for (const [name, adapter] of Object.entries(ADAPTERS)) {
  describe(`spillway/${name}`, () => {
    it('retry: of the adapter, and of one call before it', async (t) => {
      const { url, requests } = await echo(t, (_got, response) => answerJson(response, 500, { status: 500 }) ?? true)
      const sender = await openWithToken(t, url, { retry: { maxAttempts: 3 } })
      const attempts = async (post, spillway) => {
        requests.length = 0
        assert.equal(await post(spillway), 500)
        return requests.length
      }
      assert.equal(await attempts(adapter(sender, url)), 3)
      const once = adapter(sender, url, { retry: false })
      assert.equal(await attempts(once), 1)
      assert.equal(await attempts(once, { retry: { maxAttempts: 2 } }), 2)
      assert.equal(await attempts(adapter(sender, url, { retry: { maxAttempts: 2 } }), { retry: false }), 1)
    })

    it('deadlineMs: of the adapter, and of one call before it', async (t) => {
      const { url } = await serve(t, (request) => request.resume())
      const sender = await openWithToken(t, url)
      assert.ok(timeout(await failure(adapter(sender, url, { deadlineMs: 300 })())))
      assert.ok(timeout(await failure(adapter(sender, url, { deadlineMs: 600_000 })({ deadlineMs: 300 }))))
    })

    it('deadlineMs bounds what waits for the end of an outage', async (t) => {
      let isOutage = false
      const { url } = await echo(t, (_got, response) => {
        // Whatever probes later is not answered: the call may be next.
        if (!isOutage) answerJson(response, 500, { status: 500 })
        return true
      })
      const sender = await openWithToken(t, url, { retry: { maxAttempts: 1_000 } })
      const hasBegun = once(sender, 'outage')
      for (const path of ['a', 'b', 'c', 'd']) sender.request({ method: 'GET', path: `/${path}` }).catch(() => {})
      await hasBegun
      isOutage = true
      assert.ok(timeout(await failure(adapter(sender, url)({ deadlineMs: 300 }))))
    })

    it('deadlineMs bounds all redirects together', async (t) => {
      const { url, requests } = await echo(t, (got, response) => {
        setTimeout(() => response.writeHead(307, { location: '/api/v2/x' }).end(), 100)
        return true
      })
      const sender = await openWithToken(t, url)
      // Without a deadline of all, each of the 20 redirects would take its 100 ms.
      assert.ok(timeout(await failure(adapter(sender, url, { deadlineMs: 450 })())))
      assert.ok(requests.length <= 5, `${requests.length} requests`)
    })

    it('idempotent, of one call: an unknown outcome is repeated, or not', async (t) => {
      const { url, requests } = await echo(t, (_got, response) => response.destroy() && true)
      for (const ambiguous of ['retry', 'fail']) {
        const sender = await openWithToken(t, url, { retry: { maxAttempts: 2, ambiguous } })
        const post = adapter(sender, url)
        for (const [idempotent, attempts] of [
          [true, 2],
          [false, 1],
        ]) {
          requests.length = 0
          await failure(post({ idempotent }))
          assert.equal(requests.length, attempts, `${ambiguous} ${idempotent}`)
        }
      }
    })

    it('refuses what is out of range, by name', async (t) => {
      const { url } = await echo(t)
      const sender = await openWithToken(t, url)
      for (const [options, message] of REFUSED) {
        assert.throws(() => adapter(sender, url, options), { name: 'ConfigError', message })
        const error = await failure(adapter(sender, url)(options))
        const told = [error, error.cause].find((each) => each?.name === 'ConfigError')
        assert.match(told.message, message)
      }
      assert.throws(() => adapter(sender, url, { idempotent: true }), /"idempotent" is not a key of options/)
    })
  })
}

describe("timeoutPer: 'call'", () => {
  /** A sender whose next request waits for the budget for longer than the test takes. */
  async function throttled(t) {
    const { url, requests } = await echo(t)
    const sender = await openWithToken(t, url, { rateLimit: { requests: 1, perMs: 600_000 } })
    await sender.request({ method: 'GET', path: '/' })
    return { url, sender, requests }
  }

  it("axios: its timeout bounds the queue, too, and the error is axios' own", async (t) => {
    const { url, sender } = await throttled(t)
    const http = axios.create({ baseURL: url, adapter: createAdapter(sender, { timeoutPer: 'call' }), timeout: 50 })
    const error = await failure(http.get('/x'))
    assert.deepEqual([error.code, error.message, error.cause.code], ['ECONNABORTED', 'timeout of 50ms exceeded', 'DELIVERY_TIMEOUT'])
    const own = axios.create({ baseURL: url, adapter: createAdapter(sender), timeout: 50 })
    assert.equal((await failure(own.get('/x', { spillway: { timeoutPer: 'call' } }))).code, 'ECONNABORTED')
    assert.equal(
      (await failure(own.get('/x', { timeout: 600_000, spillway: { timeoutPer: 'call', deadlineMs: 50 } }))).code,
      'ECONNABORTED',
    )
  })

  it('sdk: its timeout bounds the queue, too', async (t) => {
    const { url, sender } = await throttled(t)
    const client = new sdk.ApiClientClass()
    client.config.basePath = url
    useSpillway(client, sender, { timeoutPer: 'call' }).setTimeout(50)
    const error = await failure(callApi(client, 'GET', null))
    assert.equal(error.code, 'DELIVERY_TIMEOUT')
  })

  it('is a word, and none of fetch', async (t) => {
    const { url, sender } = await throttled(t)
    assert.throws(() => createAdapter(sender, { timeoutPer: 5_000 }), { message: "timeoutPer must be 'attempt' or 'call', got 5000" })
    assert.throws(() => createFetch(sender, { timeoutPer: 'call' }), /"timeoutPer" is not a key of options/)
    const error = await failure(createFetch(sender)(url, { spillway: { timeoutPer: 'call' } }))
    assert.match(error.cause.message, /"timeoutPer" is not a key of init\.spillway/)
  })
})
