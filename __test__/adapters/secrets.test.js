'use strict'

// What an adapter's error shows: never a URL's password or query, nor a header's value, wherever in its chain of causes.

const assert = require('node:assert/strict')
const { getEventListeners } = require('node:events')
const { PassThrough, Stream } = require('node:stream')
const { describe, it } = require('node:test')
const { setImmediate: nextTurn } = require('node:timers/promises')
const { inspect } = require('node:util')

const axios = require('axios')
const sdk = require('purecloud-platform-client-v2')

const { createAdapter } = require('spillway/axios')
const { createFetch } = require('spillway/fetch')
const { useSpillway } = require('spillway/sdk')
const { bytesOf } = require('../../lib/adapters/body.js')
const { joinedWith } = require('../../lib/adapters/deadline.js')
const { failure } = require('../http/support.js')
const { echo, openWithToken } = require('./support.js')

const SECRET = 'canary-2f71'

/** A server whose redirects can't be followed, and a sender of it. */
async function setUp(t) {
  const server = await echo(t, (got, response) => {
    if (!got.url.startsWith('/away')) return false
    response.writeHead(302, { location: 'http://[' }).end()
    return true
  })
  return { ...server, sender: await openWithToken(t, server.url) }
}

function apiClient(sender, basePath) {
  const client = new sdk.ApiClientClass()
  client.config.basePath = basePath
  useSpillway(client, sender)
  return (path, query) =>
    client.callApi(path, 'GET', {}, query, {}, {}, null, ['PureCloud OAuth'], ['application/json'], ['application/json'])
}

function assertClean(error) {
  // axios documents what its errors carry of the call: `config`, `request`, and `redact` for them.
  const { config: _, request: __, ...own } = error
  for (const shown of [own, error.message, error.stack, error.cause]) {
    assert.ok(!inspect(shown, { depth: 9, showHidden: true }).includes(SECRET), inspect(shown, { depth: 9 }))
  }
}

describe('no secret in an error', () => {
  const withPassword = (url) => url.replace('//', `//me:${SECRET}@`)

  it('of a password in the URL, which is refused', async (t) => {
    const { url, sender, requests } = await setUp(t)
    const fetch = createFetch(sender)
    const http = axios.create({ adapter: createAdapter(sender) })
    for (const call of [
      fetch(`${withPassword(url)}/x`),
      fetch(new URL(`${withPassword(url)}/x`)),
      fetch({ url: `${withPassword(url)}/x`, headers: [], method: 'GET' }),
      http.get(`${withPassword(url)}/x`),
      apiClient(sender, withPassword(url))('/x', {}),
    ]) {
      const error = await failure(call)
      assert.match(error.message, /user name or a password/)
      assertClean(error)
    }
    assert.equal(requests.length, 0)
  })

  it('of an address that the ordinary fetch refuses', async (t) => {
    const fetch = createFetch((await setUp(t)).sender)
    for (const address of [
      `http://me:${SECRET}@other.invalid/x`,
      `HTTP://me:${SECRET}@OTHER.invalid?key=${SECRET}`,
      `http://me:${SECRET}@[/x`,
      `http://other.invalid:port/?key=${SECRET}`,
      `/x?key=${SECRET}`,
    ]) {
      for (const input of [address, { url: address, headers: [], method: 'GET' }, ...(URL.canParse?.(address) ? [new URL(address)] : [])]) {
        const error = await failure(fetch(input))
        assert.equal(error.name, 'TypeError')
        assertClean(error)
      }
    }
  })

  it("of a header's value that is none", async (t) => {
    const { url, sender } = await setUp(t)
    const fetch = createFetch(sender)
    for (const headers of [{ 'x-key': `${SECRET}\nx` }, [['x-key', `${SECRET}\0x`]]]) {
      const error = await failure(fetch(url, { headers }))
      assert.equal(error.message, 'fetch failed: headers must have values without line breaks and NUL')
      assertClean(error)
    }
  })

  it('of a redirect that can not be followed', async (t) => {
    const { url, sender } = await setUp(t)
    const http = axios.create({ adapter: createAdapter(sender) })
    for (const call of [
      () => createFetch(sender)(`${url}/away?key=${SECRET}`),
      () => http.get(`${url}/away`, { params: { key: SECRET } }),
      () => apiClient(sender, url)('/away', { key: SECRET }),
    ]) {
      const error = await failure(call())
      assert.match(inspect(error), /Invalid URL/)
      assertClean(error)
    }
  })
})

describe('a body that is an old stream, without async iteration', () => {
  function oldStream() {
    const stream = Object.assign(new Stream(), { readable: true, isDestroyed: false, pause() {}, resume() {} })
    stream.destroy = () => {
      stream.isDestroyed = true
    }
    return stream
  }

  it('rejects the call with its error, and ends no process', async () => {
    const stream = oldStream()
    const reading = bytesOf(stream, 100)
    stream.emit('error', new RangeError('mine'))
    assert.equal((await failure(reading)).name, 'RangeError')
    // A second one, when nobody reads any more.
    stream.emit('error', new RangeError('late'))
  })

  it('is destroyed where it is not read to its end', async () => {
    const long = oldStream()
    const reading = bytesOf(long, 3)
    long.emit('data', Buffer.from('abcd'))
    assert.equal((await failure(reading)).field, 'body')
    await nextTurn()
    assert.equal(long.isDestroyed, true)

    const aborted = oldStream()
    const controller = new AbortController()
    const waiting = bytesOf(aborted, 3, controller.signal)
    controller.abort(new RangeError('mine'))
    assert.equal((await failure(waiting)).message, 'mine')
    await nextTurn()
    assert.equal(aborted.isDestroyed, true)

    const whole = oldStream()
    const read = bytesOf(whole, 3)
    whole.emit('data', Buffer.from('abc'))
    whole.emit('end')
    assert.equal(String((await read).bytes), 'abc')
    await nextTurn()
    assert.equal(whole.isDestroyed, false)
  })
})

describe('a signal that outlives many calls', () => {
  it('has no listener of a call whose time is up, or that is over', async (t) => {
    const { url, sender } = await setUp(t)
    const { signal } = new AbortController()
    const listeners = () => getEventListeners(signal, 'abort').length
    const { signal: joined } = joinedWith(signal, 1)
    const keepAlive = setTimeout(() => {}, 60_000)
    await new Promise((resolve) => joined.addEventListener('abort', resolve))
    clearTimeout(keepAlive)
    assert.equal(listeners(), 0)

    const fetch = createFetch(sender, { deadlineMs: 60_000 })
    const http = axios.create({ adapter: createAdapter(sender, { deadlineMs: 60_000 }) })
    for (let n = 0; n < 20; n++) {
      await fetch(url, { signal })
      await http.get(url, { signal })
      await failure(http.get(`${url}/away`, { signal }))
      await failure(http.post(url, new PassThrough().destroy(), { signal }))
    }
    assert.equal(listeners(), 0)
  })

  it('nor of one whose redirect to another host fails', async (t) => {
    const { url } = await echo(t, (_got, response) => {
      response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end()
      return true
    })
    const fetch = createFetch(await openWithToken(t, url), { deadlineMs: 60_000, fetch: async () => assert.fail('unreachable') })
    const { signal } = new AbortController()
    await failure(fetch(url, { signal }))
    assert.equal(getEventListeners(signal, 'abort').length, 0)
  })
})
