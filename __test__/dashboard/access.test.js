'use strict'

const assert = require('node:assert/strict')
const diagnostics = require('node:diagnostics_channel')
const { once } = require('node:events')
const { describe, it } = require('node:test')

const { defer } = require('../defer.js')
const { open, simulate } = require('../http/support.js')
const { until } = require('../until.js')
const { ask, dashboardOf, listen, operate } = require('./support.js')

/** A sender with dead letters: two rejected, one expired. */
async function withLetters(t, more) {
  const sender = await open(t, await simulate(t, { poisonText: 'poison' }), more)
  for (const id of ['a', 'b']) await assert.rejects(sender.send({ id, conversationId: id, body: { text: 'poison' } }))
  await sender.pause()
  await assert.rejects(sender.send({ id: 'c', conversationId: 'c', body: { text: 'late' }, expiresInMs: 1 }))
  await sender.resume()
  return sender
}

async function letterIds(sender) {
  const ids = []
  for await (const { id } of sender.deadLetters()) ids.push(id)
  return ids
}

describe('operations', () => {
  it('redrive and drop one, those of a filter, and all; pause and resume; each is an event', async (t) => {
    const sender = await withLetters(t)
    const { organization } = sender.stats()
    const { url } = await dashboardOf(t, sender, { readOnly: false, authorize: () => ({ may: 'act', by: 'alice' }) })
    const events = []
    sender.on('operator', (event) => events.push(event))
    const published = []
    const subscriber = (event) => published.push(event)
    diagnostics.subscribe?.('spillway:operator', subscriber)
    defer(t, () => diagnostics.unsubscribe?.('spillway:operator', subscriber))
    const act = async (operation) => (await operate(url, { organization, ...operation })).json

    assert.deepEqual(await act({ action: 'pause', forMs: 60_000 }), { result: {} })
    assert.equal(sender.stats().pause.reason, 'operator')
    assert.deepEqual(await act({ action: 'redrive', id: 'a' }), { result: {} })
    assert.deepEqual(await letterIds(sender), ['b', 'c'])
    assert.deepEqual(await act({ action: 'redrive', filter: { reason: 'expired' } }), {
      result: { redriven: 1, full: 0, unsendable: 0 },
    })
    assert.deepEqual(await act({ action: 'drop', id: 'b' }), { result: {} })
    assert.deepEqual(await letterIds(sender), [])
    assert.equal((await act({ action: 'drop', id: 'b' })).error.code, 'NOT_FOUND')
    assert.deepEqual(await act({ action: 'resume' }), { result: {} })
    assert.equal(sender.stats().pauses.filter(({ reason }) => reason === 'operator').length, 0)
    await until(async () => (await letterIds(sender)).length === 1)
    assert.deepEqual(await act({ action: 'drop', filter: { reason: 'expired' } }), { result: { dropped: 0 } })
    assert.deepEqual(await act({ action: 'drop', filter: {} }), { result: { dropped: 1 } })

    assert.deepEqual(
      events.map(({ action, ok, id, filter, error }) => [action, ok, id ?? filter, error]),
      [
        ['pause', true, undefined, undefined],
        ['redrive', true, 'a', undefined],
        ['redrive', true, { reason: 'expired' }, undefined],
        ['drop', true, 'b', undefined],
        ['drop', false, 'b', 'NOT_FOUND'],
        ['resume', true, undefined, undefined],
        ['drop', true, { reason: 'expired' }, undefined],
        ['drop', true, {}, undefined],
      ],
    )
    for (const event of events) assert.deepEqual([event.organization, event.by], [organization, 'alice'])
    if (diagnostics.subscribe !== undefined) assert.deepEqual(published, events)
    const page = await listen(t, `${url}events?organization=${organization}`)
    const { operations } = await page.last('detail')
    assert.deepEqual(operations, [...events].reverse())
  })

  it('go on though a listener of the event throws', async (t) => {
    const sender = await withLetters(t)
    const { url } = await dashboardOf(t, sender, { readOnly: false })
    sender.on('operator', () => {
      throw new Error('a faulty listener')
    })
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    const heard = new Promise((resolve) => process.once('uncaughtException', resolve))
    defer(t, () => listeners.forEach((listener) => process.on('uncaughtException', listener)))
    assert.equal((await operate(url, { organization: sender.stats().organization, action: 'drop', id: 'a' })).status, 200)
    assert.equal((await heard).message, 'a faulty listener')
  })

  for (const [operation, message] of [
    [{ action: 'stop' }, /action must be one of pause, resume, redrive, drop/],
    [{ action: 'pause', forMs: -1 }, /forMs must be/],
    [{ action: 'pause', id: 'a' }, /"id" is not a key/],
    [{ action: 'resume', scope: 'everything' }, /scope must be/],
    [{ action: 'drop' }, /either id or filter/],
    [{ action: 'drop', id: 'a', filter: {} }, /either id or filter/],
    [{ action: 'redrive', filter: { because: 'x' } }, /"because" is not a key of filter/],
  ]) {
    it(`refuse ${JSON.stringify(operation)}`, async (t) => {
      const sender = await open(t, await simulate(t))
      const { url } = await dashboardOf(t, sender, { readOnly: false })
      const answer = await operate(url, { organization: sender.stats().organization, ...operation })
      assert.equal(answer.status, 409)
      assert.match(answer.json.error.message, message)
    })
  }
})

describe('who may', () => {
  it('nobody acts by default, whatever authorize says', async (t) => {
    const sender = await open(t, await simulate(t))
    const { organization } = sender.stats()
    for (const options of [{}, { authorize: () => 'act' }]) {
      const { url } = await dashboardOf(t, sender, options)
      assert.deepEqual((await ask(`${url}session`)).json.acts, [])
      const answer = await operate(url, { organization, action: 'pause' })
      assert.deepEqual([answer.status, answer.json.error.code], [403, 'READ_ONLY'])
    }
    assert.equal(sender.stats().pause, null)
  })

  it('authorize decides: nothing, look, act, and where', async (t) => {
    const simulator = await simulate(t)
    const senders = [await open(t, simulator), await open(t, simulator)]
    const [ours, theirs] = senders.map((sender) => sender.stats().organization)
    const rights = {
      nobody: false,
      reader: 'read',
      operator: 'act',
      ours: { may: 'act', organizations: [ours] },
      both: { may: 'read', organizations: null },
    }
    const authorize = async ({ headers }) => rights[headers['x-user'] ?? 'nobody']
    const { url } = await dashboardOf(t, senders, { readOnly: false, authorize })
    const as = (user) => ({ headers: { 'x-user': user } })

    for (const path of ['', 'main.mjs', 'events', 'session', `letters?organization=${ours}`]) {
      assert.equal((await ask(url + path)).status, 403, path)
      assert.equal((await ask(url + path, as('nobody'))).status, 403, path)
    }
    assert.equal((await ask(url, as('reader'))).status, 200)
    assert.deepEqual((await ask(`${url}session`, as('reader'))).json.acts, [])
    assert.equal((await ask(`${url}session`, as('operator'))).json.acts, 'all')
    assert.deepEqual((await ask(`${url}session`, as('ours'))).json.acts, [ours])

    const page = await listen(t, `${url}events?organization=${theirs}`, { 'x-user': 'ours' })
    await page.row(ours)
    await page.last('rows')
    assert.ok(!JSON.stringify(page.events).includes(theirs), 'nothing of others, asked for or not')
    assert.equal((await ask(`${url}letters?organization=${theirs}`, as('ours'))).status, 404)
    const other = await listen(t, `${url}events`, { 'x-user': 'both' })
    await other.row(theirs)
  })

  it('an open page ends when its viewer may no more', async (t) => {
    const sender = await open(t, await simulate(t))
    let may = 'read'
    const { setInterval: every } = globalThis
    defer(t, () => {
      globalThis.setInterval = every
    })
    // Half a minute is long for a test.
    globalThis.setInterval = (work, ms) => every(work, ms === 30_000 ? 20 : ms)
    const { url } = await dashboardOf(t, sender, { authorize: () => may })
    const page = await listen(t, `${url}events`)
    await page.row(sender.stats().organization)
    assert.equal(page.isOver, false)
    may = false
    await until(() => page.isOver)
  })

  for (const [what, authorize] of [
    ['throws', () => Promise.reject(new Error('the login is down'))],
    ['gives something else', () => true],
    ['names organizations as a text', () => ({ may: 'read', organizations: 'acme' })],
  ]) {
    it(`an authorize that ${what} lets nobody in, and is told to the process alone`, async (t) => {
      const { url } = await dashboardOf(t, await open(t, await simulate(t)), { authorize })
      const warned = once(process, 'warning')
      const answer = await ask(url)
      assert.equal(answer.status, 500)
      assert.doesNotMatch(answer.body, /login|authorize/)
      assert.equal((await warned)[0].code, 'SPILLWAY_DASHBOARD')
    })
  }

  it('without authorize, whoever comes by a proxy may nothing', async (t) => {
    const { url } = await dashboardOf(t, await open(t, await simulate(t)))
    for (const name of ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via']) {
      assert.equal((await ask(url, { headers: { [name]: '192.0.2.1' } })).status, 403, name)
    }
  })
})

describe('requests of other sites', () => {
  async function held(t, options) {
    const sender = await open(t, await simulate(t))
    const { url, port } = await dashboardOf(t, sender, { readOnly: false, ...options })
    return { url, port, sender, operation: { organization: sender.stats().organization, action: 'pause' } }
  }

  for (const [what, headers, code] of [
    ['from another origin', { origin: 'https://evil.example' }, 'CROSS_SITE'],
    ['from another port of this machine', { origin: 'http://127.0.0.1:1' }, 'CROSS_SITE'],
    ['from an opaque origin', { origin: 'null' }, 'CROSS_SITE'],
    ['without an origin', { origin: undefined }, 'CROSS_SITE'],
    ['that a browser calls cross-site', { 'sec-fetch-site': 'cross-site' }, 'CROSS_SITE'],
    ['that a browser calls same-site', { 'sec-fetch-site': 'same-site' }, 'CROSS_SITE'],
    ['that somebody typed in', { 'sec-fetch-site': 'none' }, 'CROSS_SITE'],
    ['without the token', { 'x-spillway-token': undefined }, 'TOKEN'],
    ['with another token', { 'x-spillway-token': 'AAAA' }, 'TOKEN'],
    ['without the cookie', { cookie: undefined }, 'TOKEN'],
    ['as a form sends it', { 'content-type': 'text/plain' }, 'NOT_JSON'],
    ['as a form with fields sends it', { 'content-type': 'application/x-www-form-urlencoded' }, 'NOT_JSON'],
    ['as JSON by another name', { 'content-type': 'application/jsonx' }, 'NOT_JSON'],
  ]) {
    it(`an act ${what} is refused`, async (t) => {
      const { url, sender, operation } = await held(t)
      const answer = await operate(url, operation, headers)
      assert.equal(answer.json.error.code, code)
      assert.ok(answer.status >= 400)
      assert.equal(sender.stats().pause, null)
    })
  }

  it('an act with what the page sends is done, and so from a browser that knows no Sec-Fetch-Site', async (t) => {
    const { url, sender, operation } = await held(t)
    assert.equal((await operate(url, operation, { 'sec-fetch-site': undefined })).status, 200)
    assert.equal(sender.stats().pause.reason, 'operator')
  })

  it('the cookie is for this site alone, and no script reads it', async (t) => {
    const { url } = await held(t)
    assert.match((await ask(`${url}session`)).headers['set-cookie'][0], /; HttpOnly; SameSite=Strict$/)
  })

  it('nothing is read across sites, but a link leads here', async (t) => {
    const { url } = await held(t)
    const cross = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }
    for (const path of ['events', 'session', 'main.mjs']) assert.equal((await ask(url + path, { headers: cross })).status, 403, path)
    assert.equal((await ask(url, { headers: { ...cross, 'sec-fetch-mode': 'navigate' } })).status, 200)
  })

  it('a name that was rebound to this machine is not served', async (t) => {
    const { url, port, operation } = await held(t)
    for (const host of ['evil.example', `evil.example:${port}`, 'localhost.evil.example', '127.0.0.1.evil.example', 'a@localhost']) {
      assert.equal((await ask(url, { headers: { host } })).status, 421, host)
    }
    assert.equal((await operate(url, operation, { host: 'evil.example', origin: 'http://evil.example' })).status, 421)
    for (const host of ['localhost', `LOCALHOST:${port}`, '127.0.0.1', '[::1]:80', 'spillway.localhost']) {
      assert.equal((await ask(url, { headers: { host } })).status, 200, host)
    }
  })

  it('names of the option hosts are served, and act', async (t) => {
    const { url, operation, sender } = await held(t, { hosts: ['Ops.example.com'], authorize: () => 'act' })
    assert.equal((await ask(url, { headers: { host: 'ops.example.com' } })).status, 200)
    // A proxy may name the host that it passes requests on to.
    const more = { origin: 'https://ops.example.com' }
    assert.equal((await operate(url, operation, { origin: 'https://ops.example.com:8443' })).status, 403)
    assert.equal((await operate(url, operation, more)).status, 200)
    assert.equal(sender.stats().pause.reason, 'operator')
  })

  it('a body beyond 16 KiB is refused', async (t) => {
    const { url, operation } = await held(t)
    assert.equal((await operate(url, { ...operation, filler: 'x'.repeat(20_000) })).status, 413)
  })
})
