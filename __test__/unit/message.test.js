'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const vm = require('node:vm')

const { OWNED_HEADERS } = require('../../lib/headers.js')
const { checkMessage } = require('../../lib/message.js')

const SECRET = 'the text of a body'
const DAY_MS = 86_400_000
const ok = { conversationId: 'c', body: { text: SECRET } }
const cyclic = { text: SECRET }
cyclic.self = cyclic

const idRule = (bytes) => `a non-empty string of at most ${bytes} UTF-8 bytes`
const priorityRule = 'priority must be an integer from -100 to 100'
const expiryRule = 'expiresInMs must be a number of milliseconds above 0 and at most 2592000000 (30 days)'
const notBeforeRule = 'notBefore must be a valid Date or a finite time in epoch milliseconds, at most 30 days ahead'

const REFUSED = [
  [undefined, 'message must be an object, got undefined'],
  [null, 'message must be an object, got null'],
  ['hi', 'message must be an object, got a string'],
  [[ok], 'message must be an object, got an array'],
  [
    { ...ok, conversationID: 'c' },
    '"conversationID" is not a key of message; allowed are conversationId, body, id, params, ' +
      'headers, priority, expiresInMs, notBefore',
  ],
  [JSON.parse('{"conversationId":"c","body":1,"__proto__":1}'), /^"__proto__" is not a key of message/],
  [{ body: 1 }, `conversationId must be ${idRule(512)}, got undefined`],
  [{ ...ok, conversationId: '' }, `conversationId must be ${idRule(512)}, got ""`],
  [{ ...ok, conversationId: 7 }, `conversationId must be ${idRule(512)}, got 7`],
  [{ ...ok, conversationId: new String('c') }, `conversationId must be ${idRule(512)}, got an object (String)`],
  [{ ...ok, conversationId: 'x'.repeat(513) }, `conversationId must be ${idRule(512)}, got "${'x'.repeat(60)}"…`],
  [{ ...ok, conversationId: 'ä'.repeat(257) }, `conversationId must be ${idRule(512)}, got "${'ä'.repeat(60)}"…`],
  [{ ...ok, conversationId: 'a\ud800' }, 'conversationId must be a string without lone surrogates, got "a\\ud800"'],
  [{ ...ok, id: '' }, `id must be ${idRule(256)}, got ""`],
  [{ ...ok, id: null }, `id must be ${idRule(256)}, got null`],
  [{ ...ok, id: 'x'.repeat(257) }, `id must be ${idRule(256)}, got "${'x'.repeat(60)}"…`],
  [{ ...ok, id: '\udc00' }, 'id must be a string without lone surrogates, got "\\udc00"'],
  [{ ...ok, params: [] }, 'params must be a plain object of strings, got an array'],
  [{ ...ok, params: new Map() }, 'params must be a plain object of strings, got an object (Map)'],
  [{ ...ok, params: null }, 'params must be a plain object of strings, got null'],
  [{ ...ok, params: { a: 1 } }, 'params.a must be a string, got 1'],
  [{ ...ok, params: { a: undefined } }, 'params.a must be a string, got undefined'],
  [{ ...ok, params: { a: '\ud800' } }, 'params.a must be a string without lone surrogates, got "\\ud800"'],
  [{ ...ok, params: { '\ud800': 'a' } }, 'params must be an object with keys without lone surrogates, got an object'],
  [{ ...ok, params: { a: 'x'.repeat(16_384) } }, 'params must be at most 16384 bytes of JSON, got an object'],
  [{ ...ok, headers: [] }, 'headers must be a plain object of strings, got an array'],
  [{ ...ok, headers: null }, 'headers must be a plain object of strings, got null'],
  [{ ...ok, headers: new Headers() }, 'headers must be a plain object of strings, got an object (Headers)'],
  [{ ...ok, headers: { __proto__: { a: 'b' } } }, 'headers must be a plain object of strings, got an object'],
  [{ ...ok, headers: { a: undefined } }, 'headers.a must be a string, got undefined'],
  [{ ...ok, headers: { a: ['b'] } }, 'headers.a must be a string, got an array'],
  [
    { ...ok, headers: { 'a b': SECRET } },
    'headers must have header names as keys, got one of 3 characters, of which number 2 is not allowed',
  ],
  [{ ...ok, headers: { '': SECRET } }, 'headers must have header names as keys, got an empty one'],
  [{ ...ok, headers: { a: `${SECRET}\r\nb: c` } }, /^headers\.a must be at most 8192 characters of Latin-1, without control characters$/],
  [{ ...ok, headers: { a: `${SECRET}名` } }, /^headers\.a must be at most 8192 characters of Latin-1, without control characters$/],
  [{ ...ok, headers: { 'X-App': 'a', 'x-app': 'b' } }, 'headers.x-app must not be given twice'],
  [
    { ...ok, headers: Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`h${i}`, ''])) },
    'headers must be at most 32 headers, got an object',
  ],
  [{ ...ok, headers: { a: 'x'.repeat(4_096), b: 'ä'.repeat(4_095) } }, 'headers must be at most 8192 bytes of names and values'],
  ...[...OWNED_HEADERS].map((name) => [
    { ...ok, headers: { [name.toUpperCase()]: SECRET } },
    `headers.${name.toUpperCase()} is set by the sender and must not be given`,
  ]),
  [{ ...ok, priority: '1' }, `${priorityRule}, got "1"`],
  [{ ...ok, priority: 1.5 }, `${priorityRule}, got 1.5`],
  [{ ...ok, priority: 101 }, `${priorityRule}, got 101`],
  [{ ...ok, priority: -101 }, `${priorityRule}, got -101`],
  [{ ...ok, priority: NaN }, `${priorityRule}, got NaN`],
  [{ ...ok, priority: 1n }, `${priorityRule}, got a bigint`],
  [{ ...ok, expiresInMs: 0 }, `${expiryRule}, got 0`],
  [{ ...ok, expiresInMs: -1 }, `${expiryRule}, got -1`],
  [{ ...ok, expiresInMs: NaN }, `${expiryRule}, got NaN`],
  [{ ...ok, expiresInMs: Infinity }, `${expiryRule}, got Infinity`],
  [{ ...ok, expiresInMs: 30 * DAY_MS + 1 }, `${expiryRule}, got 2592000001`],
  [{ ...ok, expiresInMs: '9' }, `${expiryRule}, got "9"`],
  [{ ...ok, notBefore: new Date(NaN) }, `${notBeforeRule}, got an object (Date)`],
  [{ ...ok, notBefore: '2030-01-01' }, `${notBeforeRule}, got "2030-01-01"`],
  [{ ...ok, notBefore: Infinity }, `${notBeforeRule}, got Infinity`],
  [{ ...ok, notBefore: null }, `${notBeforeRule}, got null`],
  [{ conversationId: 'c' }, 'body must be a JSON value, got undefined'],
  [{ ...ok, body: () => SECRET }, 'body must be a JSON value, got a function'],
  [{ ...ok, body: Symbol(SECRET) }, 'body must be a JSON value, got a symbol'],
  [{ ...ok, body: NaN }, 'body must be a JSON value, got NaN'],
  [{ ...ok, body: { toJSON() {} } }, 'body must be a JSON value, got an object'],
  [{ ...ok, body: cyclic }, 'body must be a JSON value: it refers to itself'],
  [{ ...ok, body: { text: SECRET, n: 1n } }, 'body must be a JSON value: it holds a bigint'],
  [
    {
      ...ok,
      body: {
        toJSON() {
          throw new Error(SECRET)
        },
      },
    },
    'body must be a JSON value: a toJSON or getter in it threw',
  ],
  [
    {
      ...ok,
      body: {
        get a() {
          throw SECRET
        },
      },
    },
    'body must be a JSON value: a toJSON or getter in it threw',
  ],
  [{ ...ok, body: { text: `${SECRET}\ud83d` } }, 'body must hold no lone surrogate in any of its strings'],
  [{ ...ok, body: { '\\\ud83d': SECRET } }, 'body must hold no lone surrogate in any of its strings'],
  [{ ...ok, body: SECRET.repeat(500_000) }, 'body must be at most 8388608 bytes of JSON'],
  [{ ...ok, body: '€'.repeat(3_000_000) }, 'body must be at most 8388608 bytes of JSON'],
]

test('each bad message is refused by name, value and rule, and never by its text', () => {
  for (const [message, expected] of REFUSED) {
    assert.throws(
      () => checkMessage(message),
      (error) => {
        assert.equal(error.name, 'ConfigError')
        assert.equal(error.code, 'MESSAGE_INVALID')
        assert.equal(typeof error.field, 'string')
        if (expected instanceof RegExp) assert.match(error.message, expected)
        else assert.equal(error.message, expected)
        assert.ok(!error.stack.includes(SECRET) && error.cause === undefined)
        return true
      },
    )
  }
})

test('notBefore too far ahead is refused, the limit itself is not', () => {
  assert.throws(() => checkMessage({ ...ok, notBefore: Date.now() + 30 * DAY_MS + 60_000 }), /^ConfigError: notBefore must be/)
  assert.ok(checkMessage({ ...ok, notBefore: Date.now() + 30 * DAY_MS }).notBefore > 0)
})

test('what is left out has its neutral value', () => {
  assert.deepEqual(checkMessage({ ...ok, id: undefined, priority: undefined }), {
    conversationId: 'c',
    id: '',
    params: '',
    headers: '',
    priority: 0,
    expiresInMs: -1,
    notBefore: -1,
    traceparent: '',
    body: JSON.stringify(ok.body),
  })
})

test('data that looks dangerous is data', () => {
  for (const id of ['../../x', '%2e%2e', 'a/b', 'nul\0', '😀', 'x'.repeat(170) + '€'.repeat(28)]) {
    assert.equal(checkMessage({ ...ok, conversationId: id, id }).id, id)
  }
  assert.equal(checkMessage({ ...ok, params: { communicationId: '../%00\0' } }).params, '{"communicationId":"../%00\\u0000"}')
})

test('params are read once: what was checked is what is sent', () => {
  for (const second of [1, '\ud800', { a: 'b' }]) {
    let reads = 0
    const params = {
      get a() {
        return reads++ === 0 ? 'first' : second
      },
    }
    assert.equal(checkMessage({ ...ok, params }).params, '{"a":"first"}')
    assert.equal(reads, 1)
  }
})

test('headers have one text, whatever the order and the case of their names', () => {
  const text = (headers) => checkMessage({ ...ok, headers }).headers
  assert.equal(text({ 'X-B': '2', 'genesys-app': 'é"\t' }), '{"genesys-app":"é\\"\\t","x-b":"2"}')
  assert.equal(text({ 'Genesys-App': 'é"\t', 'x-b': '2' }), text({ 'X-B': '2', 'genesys-app': 'é"\t' }))
  assert.equal(text({}), '')
  assert.equal(text(JSON.parse('{"__proto__":"a"}')), '{"__proto__":"a"}')
  assert.equal(text({ a: 'x'.repeat(4_095), b: 'ä'.repeat(4_095) }).length, 8_205)
  let reads = 0
  const shifty = {
    get a() {
      return reads++ === 0 ? 'first' : '\r\n'
    },
  }
  assert.equal(text(shifty), '{"a":"first"}')
})

test('every JSON value is a body', () => {
  for (const body of [null, true, 0, '', 'text', [], {}, ['\\ud83d'], 'C:\\ud800', { emoji: '😀' }]) {
    assert.equal(checkMessage({ ...ok, body }).body, JSON.stringify(body))
  }
})

test('times: Date or epoch milliseconds, of any realm, the past included', () => {
  assert.equal(checkMessage({ ...ok, notBefore: new Date(5) }).notBefore, 5)
  assert.equal(checkMessage({ ...ok, notBefore: vm.runInNewContext('new Date(6)') }).notBefore, 6)
  assert.equal(checkMessage({ ...ok, notBefore: -1 }).notBefore, 0)
  assert.equal(checkMessage({ ...ok, notBefore: 1.5 }).notBefore, 1.5)
  assert.equal(checkMessage({ ...ok, expiresInMs: 30 * DAY_MS }).expiresInMs, 30 * DAY_MS)
})

test('a field is read once, so that what was checked is what is sent', () => {
  let reads = 0
  const shifty = {
    body: 1,
    get conversationId() {
      return reads++ === 0 ? 'c' : 7
    },
  }
  assert.equal(checkMessage(shifty).conversationId, 'c')
})

test('objects of another realm are plain, too', () => {
  const message = vm.runInNewContext('({ conversationId: "c", body: {}, params: { a: "b" } })')
  assert.equal(checkMessage(message).params, '{"a":"b"}')
})
