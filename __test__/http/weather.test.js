'use strict'

const assert = require('node:assert/strict')
const { describe, it } = require('node:test')

const { Simulator } = require('../../index.js')

const MESSAGES = '/api/v2/messaging/conversations/c/messages'

async function start(t, config) {
  const simulator = await Simulator.start({ authRequired: false, ...config })
  t.after(() => simulator.close())
  return simulator
}

async function post(simulator, path = MESSAGES) {
  const answer = await fetch(simulator.url + path, { method: 'POST', body: '{"id":"a"}' })
  return { status: answer.status, headers: answer.headers, text: await answer.text() }
}

/** What a failed fetch says of the connection. */
async function problem(simulator) {
  return post(simulator).then(
    () => 'answered',
    (error) => error.cause.code,
  )
}

describe("the simulator's weather", () => {
  it('answers as the script says, and tells how often a message was accepted all the same', async (t) => {
    const simulator = await start(t, {
      script: [
        { request: 1, status: 500, headers: { 'Retry-After': '4' }, body: '{"code":"mine"}', accepted: true },
        { request: 2, status: 200, headers: { 'content-type': 'text/html' }, body: '<html>', accepted: false },
      ],
    })
    const failed = await post(simulator)
    assert.deepEqual([failed.status, failed.headers.get('retry-after'), failed.text], [500, '4', '{"code":"mine"}'])
    const page = await post(simulator)
    assert.deepEqual([page.status, page.headers.get('content-type'), page.text], [200, 'text/html', '<html>'])
    assert.equal((await post(simulator)).status, 200)
    const { ids, failedIds, acceptedThenFailed, duplicates } = simulator.ledger({ ids: true })
    assert.deepEqual(
      { ids, failedIds, acceptedThenFailed, duplicates },
      { ids: { a: 2 }, failedIds: { a: 1 }, acceptedThenFailed: 1, duplicates: 1 },
    )
  })

  it('refuses a route with a 429 as Genesys Cloud sends it, and no other', async (t) => {
    const quota = { requests: 1, perMs: 30_000_000 }
    const simulator = await start(t, {
      answerStyle: 'genesys',
      routes: [{ path: '/api/v2/taskmanagement/{what}', quota, limitKey: 'workitems', namespace: 'taskmanagement' }],
    })
    const path = '/api/v2/taskmanagement/workitems'
    assert.equal((await post(simulator, path)).status, 200)
    const { status, headers, text } = await post(simulator, path)
    assert.equal(status, 429)
    assert.ok(Number(headers.get('retry-after')) > 20_000, headers.get('retry-after'))
    assert.deepEqual(
      [...headers.keys()].filter((name) => name.includes('limit')),
      [],
    )
    assert.ok(headers.get('inin-correlation-id'))
    const { code, limit } = JSON.parse(text)
    assert.deepEqual(
      { code, limit },
      { code: 'too.many.requests.retry.after', limit: { key: 'workitems', namespace: 'taskmanagement', value: 1 } },
    )
    assert.equal((await post(simulator)).status, 200)
  })

  it('has outages of each kind', async (t) => {
    const simulator = await start(t, {})
    const during = (outage, look) => simulator.set({ outages: [outage] }).then(() => look(simulator))
    assert.equal(await during({ kind: 'refused' }, problem), 'ECONNREFUSED')
    assert.equal(await during({ kind: 'reset' }, problem), 'ECONNRESET')
    const { status, headers } = await during({ kind: 'html', status: 503 }, post)
    assert.deepEqual([status, headers.get('content-type')], [503, 'text/html'])
    assert.equal((await during({ kind: 'status', status: 403 }, post)).status, 403)
    const login = await during({ kind: 'html', target: 'login' }, (it) => Promise.all([post(it), post(it, '/oauth/token')]))
    assert.deepEqual(
      login.map(({ text }) => text.startsWith('<html>')),
      [false, true],
    )
    await simulator.set({ outages: null })
    assert.equal((await post(simulator)).status, 200)
  })

  it('refuses settings that make no sense, by name', async () => {
    for (const [config, field] of [
      [{ outages: [{ kind: 'dns' }] }, 'outages[0].kind'],
      [{ outages: [{ kind: 'refused', forMs: 0 }] }, 'outages[0].forMs'],
      [{ routes: [{ path: 'no slash' }] }, 'routes[0].path'],
      [{ script: [{ request: 1, accepted: true }] }, 'script[0].accepted'],
    ]) {
      await assert.rejects(Simulator.start(config), { name: 'ConfigError', field })
    }
  })
})
