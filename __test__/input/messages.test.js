'use strict'

// Messages that can't be sent as they are reject, each with its field, and nothing of them reaches the server.

const assert = require('node:assert/strict')
const { describe, it } = require('node:test')
const { inspect } = require('node:util')

const { ConfigError } = require('../../index.js')
const { failure, open, record, simulate } = require('./support.js')

const CANARY = 'canary-text-31c7'
const LONE = `${CANARY}\udc00`
const DAY_MS = 86_400_000

function cycle() {
  const body = { text: CANARY }
  body.self = body
  return body
}

function deep() {
  let body = { text: CANARY }
  for (let depth = 0; depth < 1e5; depth++) body = [body]
  return body
}

class Text {
  toString() {
    return 'c'
  }
}

const BODIES = [
  ['nothing', undefined, 'body must be a JSON value, got undefined'],
  ['a function', () => CANARY, 'body must be a JSON value, got a function'],
  ['a symbol', Symbol(CANARY), 'body must be a JSON value, got a symbol'],
  ['a bigint', 5n, 'body must be a JSON value: it holds a bigint'],
  ['NaN', NaN, 'body must be a JSON value, got NaN'],
  ['Infinity', -Infinity, 'body must be a JSON value, got -Infinity'],
  ['a cycle', cycle(), 'body must be a JSON value: it refers to itself'],
  ['a bigint inside', { text: CANARY, amount: 10n }, 'body must be a JSON value: it holds a bigint'],
  [
    'a toJSON that throws',
    {
      toJSON() {
        throw new Error(CANARY)
      },
    },
    'body must be a JSON value: a toJSON or getter in it threw',
  ],
  [
    'a toJSON that throws a TypeError',
    {
      toJSON() {
        throw new TypeError(CANARY)
      },
    },
    'body must be a JSON value: a toJSON or getter in it threw',
  ],
  [
    'a toJSON that throws nothing',
    {
      toJSON() {
        throw undefined
      },
    },
    'body must be a JSON value: a toJSON or getter in it threw',
  ],
  ['a toJSON that gives nothing', { toJSON: () => undefined }, 'body must be a JSON value, got an object'],
  [
    'a getter that throws',
    {
      get text() {
        throw new Error(CANARY)
      },
    },
    'body must be a JSON value: a toJSON or getter in it threw',
  ],
  ['too deep', deep(), 'body must be a JSON value: it is nested too deep or too large'],
  ['a lone surrogate', { text: LONE }, 'body must hold no lone surrogate in any of its strings'],
  ['a lone surrogate as key', { [LONE]: 1 }, 'body must hold no lone surrogate in any of its strings'],
  ['a lone surrogate alone', '\ud800', 'body must hold no lone surrogate in any of its strings'],
  ['more than 8 MiB', { text: 'x'.repeat(8 * 1024 * 1024) }, 'body must be at most 8388608 bytes of JSON'],
  ['more than 8 MiB of UTF-8', { text: 'ü'.repeat(5 * 1024 * 1024) }, 'body must be at most 8388608 bytes of JSON'],
]

const NO_IDS = ['', 5, 5n, null, true, {}, [], ['a'], () => 'a', Symbol('a'), new Text(), NaN, LONE, '\ud83d']
const NO_INTEGERS = ['5', 1.5, NaN, Infinity, 5n, null, true, {}, [], [1], () => 5]

const FIELDS = [
  ['conversationId', [undefined, ...NO_IDS, 'x'.repeat(513), '😀'.repeat(129)]],
  ['id', [...NO_IDS, 'x'.repeat(257), 'é'.repeat(129)]],
  ['priority', [...NO_INTEGERS, 101, -101, 2 ** 40]],
  ['expiresInMs', ['5', NaN, Infinity, 5n, null, {}, [], 0, -1, 30 * DAY_MS + 1]],
  ['notBefore', ['tomorrow', NaN, Infinity, 5n, null, {}, [], new Date(NaN), Date.now() + 31 * DAY_MS, '2030-01-01']],
  ['params', [null, 'a', 5, [], ['a'], new Text(), new Map(), () => {}, { [LONE]: 'a' }, { a: 'x'.repeat(16_384) }]],
  ['params.a', [{ a: 5 }, { a: undefined }, { a: null }, { a: {} }, { a: LONE }, { a: 5n }]],
]

/** What both `send` and `enqueue` reject with. */
async function refusal(sender, message) {
  const errors = await Promise.all(['send', 'enqueue'].map((method) => failure(sender[method](message), inspect(message).slice(0, 200))))
  for (const error of errors) {
    assert.ok(error instanceof ConfigError, inspect(error))
    assert.equal(error.code, 'MESSAGE_INVALID')
    for (const text of [error.message, error.stack, inspect(error), JSON.stringify(error)]) {
      // Ids are shown, as far as an error may, those in params too; a text never is.
      if (!/^(id|conversationId|params\b.*)$/.test(error.field)) assert.ok(!text.includes(CANARY), text)
    }
  }
  assert.equal(errors[0].message, errors[1].message)
  return errors[0]
}

describe('a message that is wrong', () => {
  it('in its body: what cannot be serialized', async (t) => {
    const { url, requests } = await record(t)
    const sender = await open(t, url)
    for (const [what, body, message] of BODIES) {
      const error = await refusal(sender, { conversationId: 'c', body })
      assert.deepEqual([error.field, error.message], ['body', message], what)
    }
    assert.equal(requests.length, 0)
    assert.equal(sender.stats().counters.accepted, 0)
  })

  it('in every other field: type, range, lone surrogates', async (t) => {
    const { url, requests } = await record(t)
    const sender = await open(t, url, { route: 'open-inbound' })
    for (const [field, values] of FIELDS) {
      for (const value of values) {
        const [key] = field.split('.')
        const message = { conversationId: 'c', body: {}, params: { integrationId: 'i' }, [key]: value }
        const error = await refusal(sender, message)
        assert.equal(error.field, field, `${inspect(value).slice(0, 60)}: ${error.message}`)
        assert.ok(error.message.startsWith(`${field} must be `), error.message)
        assert.ok(error.message.length < 250, error.message)
      }
    }
    assert.equal(requests.length, 0)
  })

  it('in its keys, or by being no message at all', async (t) => {
    const { url } = await record(t)
    const sender = await open(t, url)
    for (const value of [undefined, null, 5, 'text', [], 5n, () => {}]) {
      assert.match((await refusal(sender, value)).message, /^message must be an object, got /)
    }
    for (const key of ['conversationID', 'text', 'ttl', '$js', 'toString', CANARY.toUpperCase()]) {
      const error = await refusal(sender, { conversationId: 'c', body: {}, [key]: CANARY })
      assert.equal(error.field, key)
      assert.match(error.message, /is not a key of message; allowed are conversationId, body, id, /)
    }
  })

  it('in its params: the route needs others', async (t) => {
    const { url, requests } = await record(t)
    const sender = await open(t, url, { route: 'open-inbound' })
    for (const [params, field] of [
      [undefined, 'params.integrationId'],
      [{}, 'params.integrationId'],
      [{ integrationID: 'i' }, 'params.integrationId'],
      [{ integrationId: 'i', other: 'x' }, 'params.other'],
      [{ integrationId: '' }, 'params.integrationId'],
      [{ integrationId: '.' }, 'params.integrationId'],
      [{ integrationId: '..' }, 'params.integrationId'],
    ]) {
      const error = await refusal(sender, { conversationId: 'c', body: {}, params })
      assert.equal(error.field, field, error.message)
    }
    assert.equal(requests.length, 0)
  })

  it('in its size, measured by queue.maxBytes', async (t) => {
    const simulator = await simulate(t)
    const sender = await open(t, simulator.url, { queue: { maxBytes: 1_024 } })
    const frame = JSON.stringify({ text: '' }).length
    const error = await refusal(sender, { conversationId: 'c', body: { text: 'x'.repeat(1_025 - frame) } })
    assert.deepEqual([error.field, error.message], ['body', 'body must be at most queue.maxBytes, 1024 bytes, got 1025'])
    const umlauts = await refusal(sender, { conversationId: 'c', body: { text: 'ü'.repeat(600) } })
    assert.match(umlauts.message, /got 1211$/)
    assert.equal((await sender.send({ conversationId: 'c', body: { text: 'x'.repeat(1_024 - frame) } })).status, 200)
    assert.equal(sender.stats().queue.bytes, 0)
  })

  it('beside others that are right: only its own promise rejects', async (t) => {
    const simulator = await simulate(t)
    const sender = await open(t, simulator.url)
    const results = await Promise.allSettled([
      sender.send({ id: '1', conversationId: 'c', body: { id: '1' } }),
      sender.send({ id: '2', conversationId: 'c', body: cycle() }),
      sender.send({ id: '3', conversationId: '..', body: { id: '3' } }),
      sender.send({ id: '4', conversationId: 'c', body: { id: '4' } }),
    ])
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'rejected', 'fulfilled'],
    )
    assert.deepEqual(simulator.ledger({ ids: true }).ids, { 1: 1, 4: 1 })
  })
})

describe('a message that is right', () => {
  it('arrives byte for byte', async (t) => {
    const { url, requests } = await record(t)
    const sender = await open(t, url)
    const bodies = [
      { text: 'Grüße, 日本, שלום, 👋🏾, \u2028 \u0000 \\ud800 "quoted"' },
      [],
      {},
      null,
      0,
      '',
      false,
      'text',
      1e300,
      { a: undefined, b: [undefined] },
      new Date(0),
      { toJSON: () => 'from toJSON' },
      { text: 'x'.repeat(300_000) },
      { text: '\\\\ud800' },
      Object.create(null),
    ]
    await Promise.all(bodies.map((body, index) => sender.send({ conversationId: `c${index}`, body })))
    const arrived = requests.map(({ url, body }) => [url, body.toString('utf8')]).sort()
    const expected = bodies.map((body, index) => [`/api/v2/messaging/conversations/c${index}/messages`, JSON.stringify(body)]).sort()
    assert.deepEqual(arrived, expected)
    assert.ok(requests.every(({ headers }) => headers['content-type'] === 'application/json'))
  })

  it('is told apart from those that cross with it, whatever their scripts', async (t) => {
    const { url, requests } = await record(t)
    const sender = await open(t, url)
    const texts = ['', 'ascii', 'é', '€uro', '日本語', '👋🏾', 'a👋b', '\u{10ffff}', 'ÿ\u0000']
    const pairs = texts.flatMap((one) => texts.map((other) => [one, other]))
    const messages = pairs.map(([one, other], index) => ({
      id: `${one}-${index}`,
      conversationId: `${other}.${index}`,
      body: { one, other },
    }))
    const receipts = await Promise.all(messages.map((message) => sender.send(message)))
    assert.deepEqual(
      receipts.map(({ id, conversationId }) => [id, conversationId]),
      messages.map(({ id, conversationId }) => [id, conversationId]),
    )
    const arrived = new Map(requests.map(({ url, body }) => [decodeURIComponent(url.split('/').at(-2)), JSON.parse(body)]))
    assert.deepEqual(arrived, new Map(messages.map(({ conversationId, body }) => [conversationId, body])))
  })

  it('is what it was when it was handed over, and is not changed', async (t) => {
    const { url, requests } = await record(t)
    const sender = await open(t, url)
    const message = { conversationId: 'c', body: { text: 'before' }, params: {} }
    const sent = sender.send(message)
    message.body.text = 'after'
    message.conversationId = 'other'
    await sent
    assert.equal(requests[0].body.toString(), '{"text":"before"}')
    assert.match(requests[0].url, /\/c\/messages$/)
    await sender.send(Object.freeze({ conversationId: 'c', body: Object.freeze({ text: 'frozen' }) }))
  })
})
