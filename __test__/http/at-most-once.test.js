'use strict'

// With `ambiguous: 'fail'`: the server accepts, and fails or cuts; nothing is accepted twice. The simulator's ledger judges.

const assert = require('node:assert/strict')
const { describe, it, test } = require('node:test')

const axios = require('axios')

const { createAdapter } = require('spillway/axios')
const { createFetch } = require('spillway/fetch')
const { failure, message, open, simulate } = require('./support.js')

const PATH = '/api/v2/things'
/** The simulator takes every method there. */
const routes = [{ path: PATH, quota: { requests: 1_000, perMs: 1_000 } }]
const FAIL = { retry: { ambiguous: 'fail' } }

/** What a server does that has accepted a request. */
const ACCEPTED_THEN = [
  ...[500, 502, 504, 408, 520].map((status) => ({ name: String(status), line: { status, accepted: true } })),
  { name: 'a page of HTML', line: { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>Log in</html>', accepted: true } },
  { name: 'a cut connection', line: { fault: 'cutAfter' } },
  { name: 'garbage', line: { fault: 'garbage' } },
]
const isAnswered = ({ name }) => name === 'a page of HTML'

/** Everything that sends once: `send(sender, url)` gives the promises. */
const MESSAGES = {
  'a message': { send: (sender) => [sender.send(message('a', 'c'))] },
  'an array': {
    options: { route: 'messaging-array', batch: { mode: 'array', maxMessages: 3, lingerMs: 60_000 } },
    send: (sender) => ['a', 'b', 'c'].map((id) => sender.send(message(id, id))),
  },
  'texts that are merged': {
    options: { batch: { mode: 'merge', maxMessages: 3, lingerMs: 60_000 } },
    send: (sender) => ['a', 'b', 'c'].map((id) => sender.send({ id, conversationId: 'c', body: { text: id } })),
  },
}
const CALLS = {
  'request() with POST': (sender) => sender.request({ method: 'POST', path: PATH, body: { id: 'a' } }),
  'request() with PATCH': (sender) => sender.request({ method: 'PATCH', path: PATH, body: { id: 'a' } }),
  'request() with PUT that is not idempotent': (sender) =>
    sender.request({ method: 'PUT', path: PATH, body: { id: 'a' }, idempotent: false }),
  'POST by axios': (sender, url) => axios.create({ baseURL: url, adapter: createAdapter(sender) }).post(PATH, { id: 'a' }),
  'PATCH by axios': (sender, url) => axios.create({ baseURL: url, adapter: createAdapter(sender) }).patch(PATH, { id: 'a' }),
  'POST by fetch': (sender, url) => ok(createFetch(sender)(url + PATH, { method: 'POST', body: '{"id":"a"}' })),
  'PATCH by fetch': (sender, url) => ok(createFetch(sender)(url + PATH, { method: 'PATCH', body: '{"id":"a"}' })),
}
const REPEATABLE = {
  'request() with PUT': (sender) => sender.request({ method: 'PUT', path: PATH, body: { id: 'a' } }),
  'request() with POST that is idempotent': (sender) => sender.request({ method: 'POST', path: PATH, body: { id: 'a' }, idempotent: true }),
}

async function ok(response) {
  const { status } = await response
  if (status >= 300) throw new Error(`status ${status}`)
}

describe('what was accepted, and then failed, is not sent again', () => {
  for (const then of ACCEPTED_THEN) {
    for (const [name, { options, send }] of Object.entries(MESSAGES)) {
      it(`${name}, ${then.name}`, async (t) => {
        const simulator = await simulate(t, { script: [{ request: 1, ...then.line }] })
        const sender = await open(t, simulator, { ...FAIL, ...options })
        const errors = await Promise.all(send(sender).map(failure))
        for (const { code, ambiguous } of errors) assert.deepEqual([code, ambiguous], ['DELIVERY_AMBIGUOUS', true])
        // What would be sent again would be before this one.
        await sender.request({ method: 'GET', path: '/api/v2/users/me' })
        const { accepted, duplicates, arrivals } = simulator.ledger()
        assert.deepEqual({ accepted, duplicates, arrivals }, { accepted: 2, duplicates: 0, arrivals: 2 })
      })
    }
    for (const [name, call] of Object.entries(CALLS)) {
      it(`${name}, ${then.name}`, async (t) => {
        const simulator = await simulate(t, { routes, script: [{ request: 1, ...then.line }] })
        const sender = await open(t, simulator, FAIL)
        const outcome = call(sender, simulator.url)
        if (isAnswered(then)) await outcome
        else await failure(outcome)
        await sender.request({ method: 'GET', path: '/api/v2/users/me' })
        assert.equal(simulator.ledger().accepted, 2)
      })
    }
  }
})

describe('what may be repeated is, and the ledger shows it', () => {
  for (const then of ACCEPTED_THEN.filter((one) => !isAnswered(one))) {
    it(`a message with ambiguous 'retry', ${then.name}`, async (t) => {
      const simulator = await simulate(t, { script: [{ request: 1, ...then.line }] })
      const sender = await open(t, simulator, { retry: { ambiguous: 'retry' } })
      await sender.send(message('a', 'c'))
      assert.deepEqual(simulator.ledger({ ids: true }).ids, { a: 2 })
    })
    for (const [name, call] of Object.entries(REPEATABLE)) {
      it(`${name}, ${then.name}`, async (t) => {
        const simulator = await simulate(t, { routes, script: [{ request: 1, ...then.line }] })
        const sender = await open(t, simulator, FAIL)
        await call(sender)
        assert.equal(simulator.ledger().accepted, 2)
      })
    }
  }
})

for (const status of [500, 502, 504, 408, 599]) {
  test(`an item of a 207 with ${status} is not sent again, and the others are delivered`, async (t) => {
    const body = JSON.stringify(['a', 'b', 'c'].map((id) => ({ id, status: id === 'b' ? status : 200 })))
    const simulator = await simulate(t, { script: [{ request: 1, status: 207, body, accepted: true }] })
    const batch = { mode: 'array', maxMessages: 3, lingerMs: 60_000 }
    const sender = await open(t, simulator, { ...FAIL, route: 'messaging-array', batch })
    const [a, b, c] = await Promise.allSettled(['a', 'b', 'c'].map((id) => sender.send(message(id, id))))
    assert.deepEqual([a.status, c.status], ['fulfilled', 'fulfilled'])
    assert.deepEqual([b.reason.code, b.reason.ambiguous, b.reason.status], ['DELIVERY_AMBIGUOUS', true, status])
    await sender.request({ method: 'GET', path: '/api/v2/users/me' })
    assert.deepEqual(simulator.ledger({ ids: true }).ids, { a: 1, b: 1, c: 1 })
  })
}

test('in a storm of such failures nothing is accepted twice, and every end is told as it was', { timeout: 120_000 }, async (t) => {
  const faults = { status500After: 0.03, status502After: 0.03, status504After: 0.03, status408After: 0.03, cutAfter: 0.03 }
  const simulator = await simulate(t, { seed: 18, latencyMs: { min: 0, max: 5 }, faults: { ...faults, status503: 0.05, cutBefore: 0.02 } })
  const sender = await open(t, simulator, FAIL)
  const ids = Array.from({ length: 200 }, (_, index) => `m-${index}`)
  const outcomes = await Promise.allSettled(ids.map((id, index) => sender.send(message(id, `c-${index % 60}`))))
  const ledger = simulator.ledger({ ids: true })
  assert.equal(ledger.duplicates, 0)
  assert.ok(ledger.acceptedThenFailed + ledger.cutsAfter > 15, 'the storm came')
  for (const [index, { status, reason }] of outcomes.entries()) {
    if (status === 'fulfilled') assert.equal(ledger.ids[ids[index]], 1)
    else assert.deepEqual([reason.code, reason.ambiguous], ['DELIVERY_AMBIGUOUS', true])
  }
  assert.equal(ledger.orderViolations, 0)
})
