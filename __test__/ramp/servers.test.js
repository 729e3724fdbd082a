'use strict'

// Whole ramps over HTTP, in real time, against every kind of server that ends a search in a way of its own.

const assert = require('node:assert/strict')
const { describe, it } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { Client } = require('../../lib/ramp/client.js')
const { answerJson, serve, serveRaw, textOf } = require('../http/support.js')
const { CREDENTIALS, open, report, sampleRequests, sessionOf, TEMPLATE } = require('./support.js')

const LATENCY = { min: 2, max: 4 }

describe('a ramp over HTTP', { concurrency: true }, () => {
  for (const algorithm of ['fixed-window', 'opened-window', 'token-bucket']) {
    it(`finds the limit of a ${algorithm}`, async (t) => {
      const stage = await open(t, { quota: { requests: 18, perMs: 1000, algorithm }, latencyMs: LATENCY })
      const session = sessionOf(stage, {})
      const found = await session.run(1000)
      const { interval, algorithm: told } = report(session, found, stage.requests)
      assert.ok(interval.low <= 18 && interval.high >= 18 && interval.high - interval.low <= 1, JSON.stringify(interval))
      assert.equal(told.name, algorithm)
      assert.equal(stage.simulator.ledger().refused, found.refused)
      assert.ok(found.refused <= 6, `${found.refused} refusals`)
    })
  }

  it('knows a limit of two at once', async (t) => {
    const stage = await open(t, { quota: { requests: 2, perMs: 1000, algorithm: 'sliding-log' }, latencyMs: LATENCY })
    const session = sessionOf(stage, {})
    const found = await session.run(1000)
    const { interval } = report(session, found, stage.requests)
    assert.deepEqual([found.ended, interval, found.refused], ['tiny', { low: 2, high: 2 }, 1])
  })

  it('says that nothing broke where the limit is above --to', async (t) => {
    const stage = await open(t, { quota: { requests: 200, perMs: 300 }, latencyMs: LATENCY })
    const session = sessionOf(stage, { countMax: 12 })
    const found = await session.run(300)
    assert.deepEqual([found.ended, found.counts, stage.simulator.ledger().refused], ['not-reached', [], 0])
  })

  it('calls a server that gets slow under load what it is', async (t) => {
    const recent = []
    const { url } = await serve(t, async (request, response) => {
      await textOf(request)
      const now = Date.now()
      recent.push(now)
      while (recent[0] < now - 1000) recent.shift()
      if (recent.length > 8) await sleep(300)
      answerJson(response, 200, {})
    })
    const client = new Client({ apiUrl: url, loginUrl: url, credentials: { accessToken: 'token' } })
    t.after(() => client.close())
    await client.authorize()
    const session = sessionOf({ client, requests: sampleRequests() }, {})
    const found = await session.run(1000)
    assert.deepEqual([found.ended, found.counts, found.refused], ['latency', [], 0])
  })

  it('calls refusals that are none of a limit what they are', async (t) => {
    const stage = await open(t, { routes: [{ path: TEMPLATE, status: 404 }] })
    assert.equal((await sessionOf(stage, {}).run(300)).ended, '4xx')
  })

  it('reads the list of limits where it may, and asks whether another route is concerned, too', async (t) => {
    const entities = [{ namespace: 'messaging', key: 'requests.per.second', value: 12 }]
    const stage = await open(t, {
      routes: [
        { path: '/api/v2/organizations/limits/namespaces', status: 200, body: JSON.stringify({ entities }) },
        {
          path: TEMPLATE,
          quota: { requests: 12, perMs: 1000, algorithm: 'sliding-log' },
          limitKey: 'requests.per.second',
          namespace: 'messaging',
        },
      ],
      answerStyle: 'genesys',
      latencyMs: LATENCY,
    })
    // Refusals enough for that question, whatever the others cost.
    const session = sessionOf(stage, { repeat: 5 })
    const limits = await session.readLimits()
    assert.deepEqual(limits, { status: 200, entities })
    const found = await session.run(1000)
    const { told, interval } = report(session, found, stage.requests, limits)
    assert.deepEqual(interval, { low: 12, high: 12 })
    assert.ok(
      told.some(({ source, agrees }) => source !== 'the 429' && agrees),
      JSON.stringify(told),
    )
    assert.deepEqual([found.facts.other, found.facts.limitsRoute], [429, 200])
  })

  it('does without the list of limits where it may not', async (t) => {
    const stage = await open(t, { routes: [{ path: '/api/v2/organizations/limits/namespaces', status: 403 }] })
    assert.deepEqual(await sessionOf(stage, {}).readLimits(), { status: 403, entities: null })
  })

  it('takes a list of limits that is none for unreadable', async (t) => {
    const { url } = await serve(t, (_, response) => response.end('<html>'))
    const client = new Client({ apiUrl: url, loginUrl: url, credentials: { accessToken: 'token' } })
    t.after(() => client.close())
    await client.authorize()
    assert.deepEqual(await sessionOf({ client, requests: sampleRequests() }, {}).readLimits(), { status: 200, entities: null })
  })
})

describe('the client of a ramp', { concurrency: true }, () => {
  const clientOf = (t, url) => {
    const client = new Client({ apiUrl: url, loginUrl: url, credentials: CREDENTIALS })
    t.after(() => client.close())
    return client
  }

  for (const [what, answer] of [
    ['refuses', (response) => answerJson(response, 401, {})],
    ['answers with a page', (response) => response.end('<html>')],
    ['gives no token', (response) => answerJson(response, 200, { access_token: 7 })],
  ]) {
    it(`says so where the login host ${what}`, async (t) => {
      const { url } = await serve(t, (_, response) => answer(response))
      await assert.rejects(clientOf(t, url).authorize(), { name: 'AuthError', message: /no access token/ })
    })
  }

  it('gives status 0 where the answer is cut, or does not come', async (t) => {
    const { url } = await serve(t, (_, response) => {
      response.writeHead(200, { 'content-length': 100 })
      response.write('half of it')
      setImmediate(() => response.destroy())
    })
    assert.equal((await clientOf(t, url).send({ method: 'GET', path: '/' })).status, 0)
    const raw = await serveRaw(t, (socket) => socket.destroy())
    assert.equal((await clientOf(t, raw.url).send({ method: 'GET', path: '/' })).status, 0)
  })

  it('keeps no more of an answer than it needs', async (t) => {
    const { url } = await serve(t, (_, response) => {
      for (let part = 0; part < 64; part++) response.write('x'.repeat(16_384))
      response.end()
    })
    const { status, text } = await clientOf(t, url).send({ method: 'GET', path: '/' })
    assert.equal(status, 200)
    assert.ok(text.length <= 64 * 1024, `${text.length} characters`)
  })
})

describe('the wait that a refusal asks for', { concurrency: true }, () => {
  for (const [what, headers] of [
    ['as a date', () => ({ 'retry-after': new Date(Date.now() + 3_000).toUTCString() })],
    ['by a reset header', () => ({ 'inin-ratelimit-reset': '3' })],
  ]) {
    it(`is kept ${what}`, async (t) => {
      let count = 0
      const { url } = await serve(t, async (request, response) => {
        await textOf(request)
        if (++count === 8) answerJson(response, 429, {}, headers())
        else answerJson(response, 200, {})
      })
      const client = new Client({ apiUrl: url, loginUrl: url, credentials: { accessToken: 'token' } })
      t.after(() => client.close())
      await client.authorize()
      const session = sessionOf({ client, requests: sampleRequests() }, { requestsMax: 12 })
      const { trials } = await session.run(1000)
      const [{ waitMs }] = session.refusals
      assert.ok(waitMs > 0 && waitMs <= 3_000, `${waitMs} ms`)
      const observations = trials.flatMap((trial) => trial.observations)
      const { answeredAt } = observations.find(({ status }) => status === 429)
      const later = observations.filter(({ sentAt }) => sentAt > answeredAt)
      assert.ok(later.length > 0)
      for (const { sentAt } of later) assert.ok(sentAt >= answeredAt + waitMs - 1, `${sentAt - answeredAt} ms after it`)
    })
  }
})
