'use strict'

// Headers of the sender and of messages: on the wire, in batches, through restarts, and in nothing that can be printed.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { inspect } = require('node:util')
const { join } = require('node:path')

const { Sender } = require('../../index.js')
const { OWNED_HEADERS } = require('../../lib/headers.js')
const { directory } = require('../store/support.js')
const { collect, failure, open, optionsFor, PATIENCE_MS, serve, textOf } = require('./support.js')

const CANARY = 'canary-header-41c7'
const options = { credentials: { accessToken: 'token' } }
/** Headers of every message, even when the caller sets none. */
const OURS = ['accept', 'authorization', 'content-length', 'content-type', 'host', 'idempotency-key', 'user-agent']

/** A server that keeps the requests, as `{ headers, body }`, and answers each with what `answer(request)` gives: its status. */
async function keeping(t, answer = () => 200) {
  const requests = []
  const { url } = await serve(t, async (request, response) => {
    const body = await textOf(request)
    requests.push({ headers: request.headers, raw: request.rawHeaders, body: body === '' ? null : JSON.parse(body) })
    response.writeHead(await answer(requests.at(-1)), { 'content-type': 'application/json' }).end('{}')
  })
  return { url, requests }
}

/** The headers of a request that are not ours. */
const extra = ({ headers }) => Object.fromEntries(Object.entries(headers).filter(([name]) => !OURS.includes(name)))

test('those of the sender and of the message are sent, each once, and the message has the last word', async (t) => {
  const { url, requests } = await keeping(t)
  const sender = await open(t, url, { ...options, headers: { 'Genesys-App': 'acme-bridge', 'x-both': 'sender', 'User-Agent': 'mine' } })
  await sender.send({ conversationId: 'c', body: 1 })
  const headers = { 'X-BOTH': 'message', 'x-latin': '\tä\xff', accept: '', ['__proto__']: 'own' }
  await sender.send({ conversationId: 'c', body: 2, headers })
  await sender.send({ conversationId: 'c', body: 3, headers: { 'genesys-APP': '' } })
  await sender.request({ method: 'GET', path: '/a' })
  assert.deepEqual(extra(requests[0]), { 'genesys-app': 'acme-bridge', 'x-both': 'sender' })
  assert.equal(requests[0].headers['user-agent'], 'mine')
  const own = Object.entries(extra(requests[1])).concat(requests[1].raw.includes('__proto__') ? [['__proto__', 'own']] : [])
  assert.deepEqual(own.sort(), [
    ['__proto__', 'own'],
    ['genesys-app', 'acme-bridge'],
    ['x-both', 'message'],
    ['x-latin', 'ä\xff'],
  ])
  assert.equal(requests[1].headers.accept, undefined)
  assert.deepEqual(extra(requests[2]), { 'genesys-app': '', 'x-both': 'sender' })
  assert.deepEqual(extra(requests[3]), {})
  for (const { raw } of requests) {
    const names = raw.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase())
    assert.equal(new Set(names).size, names.length, names.join())
  }
})

test('the sender and a message take the same headers, and refuse the same', async (t) => {
  const { url, requests } = await keeping(t)
  const sender = await open(t, url, options)
  const many = (count) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`h${i}`, '']))
  const REFUSED = [
    ...[...OWNED_HEADERS].flatMap((name) => [name, name.toUpperCase()]).map((name) => [{ [name]: CANARY }, `headers.${name}`]),
    [{ 'x-a': `${CANARY}\r\nx-b: 1` }, 'headers.x-a'],
    [{ 'x-a': `${CANARY}\0` }, 'headers.x-a'],
    [{ 'x-a': `${CANARY}名` }, 'headers.x-a'],
    [{ 'x-a': `${CANARY}\u0100` }, 'headers.x-a'],
    [{ 'x-a': '\x7f' }, 'headers.x-a'],
    [{ 'x-a': 5 }, 'headers.x-a'],
    [{ 'x-a': [CANARY] }, 'headers.x-a'],
    [{ 'X-A': CANARY, 'x-a': CANARY }, /^headers\.x-a$/i],
    [{ [`${CANARY} `]: '' }, 'headers'],
    [{ '': '' }, 'headers'],
    [{ ä: '' }, 'headers'],
    [[], 'headers'],
    [CANARY, 'headers'],
    [new Map([['a', 'b']]), 'headers'],
    [many(33), 'headers'],
    [many(100), 'headers'],
    [{ 'x-a': 'x'.repeat(4_096), 'x-b': 'ä'.repeat(4_091) }, 'headers'],
  ]
  for (const [headers, field] of REFUSED) {
    const errors = [
      await failure(Sender.open(optionsFor(url, { ...options, headers }))),
      await failure(sender.send({ conversationId: 'c', body: 1, headers })),
    ]
    assert.deepEqual(
      errors.map(({ name, code }) => [name, code]),
      [
        ['ConfigError', 'CONFIG_INVALID'],
        ['ConfigError', 'MESSAGE_INVALID'],
      ],
    )
    for (const error of errors) {
      if (field instanceof RegExp) assert.match(error.field, field)
      else assert.equal(error.field, field, error.message)
      assert.ok(!inspect(error).includes(CANARY), inspect(error))
    }
  }
  const TAKEN = [
    {},
    many(32),
    { 'x-a': 'x'.repeat(4_096), 'x-b': 'ä'.repeat(4_090) },
    { 'x-a': '' },
    { 'x-a': ' ~\t\x80\xff' },
    { "!#$%&'*+-.^_`|~9": 'a' },
    { constructor: 'a', toString: 'b', 'content-language': 'de', cookie: 'c', tracestate: 'd' },
  ]
  for (const headers of TAKEN) {
    const other = await open(t, url, { ...options, headers })
    await other.send({ conversationId: 'c', body: 1 })
    await sender.send({ conversationId: 'c', body: 1, headers })
    const [ofSender, ofMessage] = requests.slice(-2).map(extra)
    assert.deepEqual(ofSender, ofMessage)
    assert.deepEqual(
      Object.keys(ofMessage).sort(),
      Object.keys(headers)
        .map((name) => name.toLowerCase())
        .sort(),
    )
  }
})

for (const [what, batch, route, conversation] of [
  ['an array', { mode: 'array', lingerMs: 50, arrayOrdered: true }, 'messaging-array', (n) => `c${n}`],
  ['a merged text', { mode: 'merge' }, 'messaging', () => 'c'],
]) {
  test(`${what} has messages of the same headers alone, and all of these`, async (t) => {
    const { url, requests } = await keeping(t)
    const sender = await open(t, url, { ...options, route, batch, headers: { 'x-app': 'sender' } })
    const apps = [undefined, {}, { 'X-App': 'a', 'x-b': 'b' }, { 'x-b': 'b', 'x-app': 'a' }, { 'x-app': 'a' }, { 'x-app': 'sender' }]
    const start = sender.send({ conversationId: 'c', body: { text: 'first' }, notBefore: Date.now() + 50 })
    await Promise.all([
      start,
      ...apps.map((headers, n) =>
        sender.send({ conversationId: conversation(n), body: { text: `${n}` }, headers, notBefore: Date.now() + 50 }),
      ),
    ])
    const texts = ({ body }) => (Array.isArray(body) ? body.map(({ text }) => text) : body.text.split('\n'))
    const headersOf = new Map([['first', undefined], ...apps.map((headers, n) => [`${n}`, headers])])
    for (const request of requests) {
      const own = texts(request).map((text) =>
        JSON.stringify(
          Object.entries(headersOf.get(text) ?? {})
            .map(([name, value]) => [name.toLowerCase(), value])
            .sort(),
        ),
      )
      assert.equal(new Set(own).size, 1, `${texts(request)} have different headers`)
      assert.deepEqual(extra(request), { 'x-app': 'sender', ...Object.fromEntries(JSON.parse(own[0])) })
    }
    assert.ok(
      requests.some((request) => texts(request).includes('2') && texts(request).includes('3')),
      'equal ones travel together',
    )
  })
}

test('a file keeps them with the message: through a restart, and as a dead letter', async (t) => {
  const { url, requests } = await keeping(t, ({ headers }) => (headers['x-fate'] === 'refused' ? 400 : 200))
  const settings = { ...optionsFor(url), ...options, store: `file:${join(directory(t), 'outbox.db')}` }
  const headers = (fate) => ({ 'X-Fate': fate, 'x-latin': 'ä"\\\t!' })
  const first = await Sender.open({ ...settings, headers: { 'x-run': 'first' } })
  assert.equal((await failure(first.send({ id: 'dead', conversationId: 'd', body: 1, headers: headers('refused') }))).status, 400)
  await first.enqueue({ id: 'later', conversationId: 'c', body: 2, headers: headers('taken'), notBefore: Date.now() + 100 })
  await first.close({ timeoutMs: 0 })

  const second = await Sender.open({ ...settings, headers: { 'x-run': 'second' } })
  await second.drain({ timeoutMs: PATIENCE_MS })
  await second.redrive('dead')
  await second.drain({ timeoutMs: PATIENCE_MS })
  assert.equal((await collect(second.deadLetters())).length, 1)
  await second.close()
  assert.deepEqual(requests.map(extra), [
    { 'x-run': 'first', 'x-fate': 'refused', 'x-latin': 'ä"\\\t!' },
    { 'x-run': 'second', 'x-fate': 'taken', 'x-latin': 'ä"\\\t!' },
    { 'x-run': 'second', 'x-fate': 'refused', 'x-latin': 'ä"\\\t!' },
  ])
})

test('a value is in no error, event, explanation or number', async (t) => {
  const { url } = await keeping(t, ({ body }) => (body.text === 'refused' ? 400 : 200))
  const settings = { ...optionsFor(url), ...options, headers: { 'x-key': CANARY } }
  const sender = await Sender.open(settings)
  t.after(() => sender.close({ timeoutMs: 0 }))
  const events = []
  for (const name of ['delivered', 'deadLetter', 'outage', 'drain']) sender.on(name, (event) => events.push(event))
  const send = (text, more) => sender.send({ id: text, conversationId: text, body: { text }, headers: { 'x-own': CANARY }, ...more })
  const refused = await failure(send('refused'))
  const receipt = await send('taken')
  const waiting = send('waiting', { notBefore: Date.now() + 60_000 }).catch(() => {})
  const conflict = await failure(Sender.open({ ...settings, headers: { 'x-key': `${CANARY}2` } }))
  assert.deepEqual([conflict.code, conflict.field], ['CONFIG_CONFLICT', 'headers'])
  const shown = [refused, receipt, conflict, sender, sender.stats(), sender.metrics(), await sender.explain('waiting'), events]
  shown.push(await collect(sender.deadLetters()))
  assert.ok(events.length >= 2)
  for (const value of shown) assert.ok(!inspect(value, { depth: 12, showHidden: true }).includes(CANARY), inspect(value))
  await sender.close({ timeoutMs: 0 })
  await waiting
})
