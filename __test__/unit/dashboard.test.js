'use strict'

const assert = require('node:assert/strict')
const { describe, it } = require('node:test')

const { FIELDS, History, HISTORY_BYTES } = require('../../lib/dashboard/history.js')
const { troubleOf } = require('../../lib/dashboard/trouble.js')

const COLUMN = Object.fromEntries(FIELDS.map((field, index) => [field, index]))

/** A sample at this second: a message per second is delivered, and the queue is as long as `messages` says. */
function sample(second, messages = 0) {
  return { atMs: second * 1_000, delivered: second, messages, oldestMs: null }
}

describe('the history', () => {
  it('has an hour, by the second for the last five minutes, and takes no more than it says', () => {
    const history = new History()
    for (let second = 0; second <= 7_200; second++) {
      assert.equal(history.isDue(second * 1_000), true)
      history.add(sample(second))
      assert.equal(history.isDue(second * 1_000 + 999), false)
    }
    const { fields, rows } = history.data
    assert.equal(fields.length, rows[0].length)
    const times = rows.map(([atMs]) => atMs / 1_000)
    assert.deepEqual(
      times.slice(-300),
      Array.from({ length: 300 }, (_, index) => 6_901 + index),
    )
    assert.deepEqual(times.slice(0, 3), [3_615, 3_630, 3_645])
    assert.deepEqual(
      times,
      [...times].sort((a, b) => a - b),
    )
    assert.equal(HISTORY_BYTES, 56_160)
    assert.equal(rows[0][COLUMN.oldestMs], null, 'what was not known')
  })

  it('keeps the peak of what rises and falls between two samples, and counters as they were', () => {
    const history = new History()
    for (let second = 0; second < 900; second++) history.add(sample(second, second === 7 ? 500 : 1))
    const first = history.data.rows[0]
    assert.deepEqual([first[COLUMN.atMs], first[COLUMN.messages], first[COLUMN.delivered]], [0, 500, 0])
  })

  it('gives rates of the last seconds, and growth as far as it reaches back', () => {
    const history = new History()
    assert.equal(history.rate('delivered', 5, 1_000, 5_000), null)
    assert.equal(history.growth('delivered', 5), 0)
    for (let second = 0; second <= 10; second++) history.add(sample(second))
    assert.equal(history.rate('delivered', 40, 12_000, 5_000), (40 - 7) / 5)
    assert.equal(history.growth('delivered', 40), 40)
  })
})

describe('trouble', () => {
  const CALM = {
    store: null,
    outages: [],
    outage: null,
    pauses: [],
    fleet: null,
    queue: { messages: 0, waiting: 0, refused: 0 },
    budget: { available: 1 },
  }
  const LATELY = { oldestMs: null, deadLetters: 0, throttled: 0, requests: 100, rate: 0 }
  const pause = { scope: 'organization', route: null, conversationId: null, reason: 'retry-after', sinceMs: 1, untilMs: 2, nextProbeMs: 2 }
  const outage = { route: null, reason: 'auth', message: 'no such client', sinceMs: 1, nextProbeMs: null }
  const queue = { messages: 5, waiting: 0, refused: 0 }

  for (const [what, stats, lately, level, kinds] of [
    ['nothing to do', {}, {}, 'idle', []],
    ['sending what comes', {}, { rate: 3 }, 'fine', []],
    ['sending a backlog', { queue }, {}, 'fine', []],
    ['waiting for the budget', { queue, budget: { available: 0 } }, {}, 'busy', []],
    ['an operator', { pauses: [{ ...pause, reason: 'operator' }] }, {}, 'held', ['operator']],
    ['a 429', { pauses: [pause] }, {}, 'trouble', ['pause']],
    ['a 429 and an operator', { pauses: [{ ...pause, reason: 'operator' }, pause] }, {}, 'trouble', ['operator', 'pause']],
    ['ended conversations', { pauses: [{ ...pause, scope: 'conversation', reason: 'ended' }] }, {}, 'idle', []],
    ['an outage', { outages: [outage], outage }, {}, 'down', ['outage']],
    ['an outage of a route of calls', { outages: [{ ...outage, route: 'GET /x' }] }, {}, 'trouble', ['outage']],
    ['an outage of the route of messages', { outages: [{ ...outage, route: 'POST /x' }], outage }, {}, 'down', ['outage']],
    ['a store', { store: { problem: { code: 'STORE_FULL', message: 'full' } } }, {}, 'down', ['store']],
    ['a full outbox', { queue: { ...queue, waiting: 1 } }, {}, 'trouble', ['full']],
    ['refused messages', { queue: { ...queue, refused: 1 } }, {}, 'trouble', ['refused']],
    ['an old message', { queue }, { oldestMs: 0 }, 'trouble', ['age']],
    ['a young message', { queue }, { oldestMs: 999_000 }, 'fine', []],
    ['dead letters', {}, { deadLetters: 1 }, 'trouble', ['letters']],
    ['many 429s', { queue }, { throttled: 6 }, 'trouble', ['throttled']],
    ['as many as learning takes', { queue }, { throttled: 5 }, 'fine', []],
    ['a fleet without its Redis', { fleet: { problem: 'refused' } }, {}, 'trouble', ['fleet']],
  ]) {
    it(`${what}: ${level}`, () => {
      const { level: found, causes, more } = troubleOf({ ...CALM, ...stats }, { ...LATELY, ...lately }, 1_000_000)
      assert.deepEqual([found, causes.map(({ kind }) => kind), more], [level, kinds, 0])
    })
  }

  it('lists a few causes and counts the rest', () => {
    const routes = Array.from({ length: 9 }, (_, index) => ({ ...outage, route: `GET /${index}` }))
    const { causes, more } = troubleOf({ ...CALM, outages: routes }, LATELY, 0)
    assert.deepEqual([causes.length, more], [4, 5])
  })
})
