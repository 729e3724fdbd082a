'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { parseOptions, settingsText } = require('../../lib/options.js')

test('what JSON cannot carry is marked, not lost', () => {
  const settings = {
    number: 1.5,
    not: NaN,
    high: Infinity,
    low: -Infinity,
    big: 1n,
    fn() {},
    symbol: Symbol('s'),
    absent: undefined,
    nil: null,
    list: [undefined, 1, NaN],
    date: new Date(NaN),
    map: new Map(),
    bytes: Buffer.from('x'),
    boxed: new String('x'),
    bare: Object.assign(Object.create(null), { a: 1 }),
    lone: 'a\ud800',
    emoji: '😀',
  }
  assert.deepEqual(JSON.parse(settingsText(settings, 'options')), {
    number: 1.5,
    not: { $js: 'NaN' },
    high: { $js: 'Infinity' },
    low: { $js: '-Infinity' },
    big: { $js: 'bigint' },
    fn: { $js: 'function' },
    symbol: { $js: 'symbol' },
    nil: null,
    list: [{ $js: 'undefined' }, 1, { $js: 'NaN' }],
    date: { $js: 'Date' },
    map: { $js: 'Map' },
    bytes: { $js: 'Buffer' },
    boxed: { $js: 'String' },
    bare: { a: 1 },
    lone: { $js: 'string with a lone surrogate' },
    emoji: '😀',
  })
  assert.deepEqual(JSON.parse(settingsText({ forged: { $js: 'function' } }, 'options')), {
    forged: { $js: 'an object with a key "$js"' },
  })
})

test('a patched BigInt.prototype.toJSON changes nothing', () => {
  BigInt.prototype.toJSON = () => 1
  try {
    assert.deepEqual(JSON.parse(settingsText({ a: 2n }, 'options')), { a: { $js: 'bigint' } })
  } finally {
    delete BigInt.prototype.toJSON
  }
})

test('options that are no tree of values are refused', () => {
  const cyclic = {}
  cyclic.self = cyclic
  let deep = {}
  for (let i = 0; i < 1e5; i++) deep = { deep }
  const throwing = {
    get secret() {
      throw new Error('no')
    },
  }
  const tree = 'options must be a tree without cycles and throwing getters'
  const table = [
    [undefined, 'options must be an object, got undefined'],
    [null, 'options must be an object, got null'],
    [[], 'options must be an object, got an array'],
    ['acme', 'options must be an object, got "acme"'],
    [7, 'options must be an object, got 7'],
    [() => {}, 'options must be an object, got a function'],
    [cyclic, tree],
    [deep, tree],
    [throwing, tree],
    [{ 'a\udc00': 1 }, 'options must not have a key with a lone surrogate'],
  ]
  for (const [options, message] of table) {
    assert.throws(() => parseOptions(options), { name: 'ConfigError', code: 'CONFIG_INVALID', field: 'options', message })
  }
})

test('the function that gives access tokens stays here, with its this', () => {
  const credentials = {
    token: 't',
    accessToken() {
      return this.token
    },
  }
  const { settings, accessToken } = parseOptions({ credentials })
  assert.deepEqual(JSON.parse(settings).credentials, { token: 't', accessToken: { $js: 'function' } })
  assert.equal(accessToken(), 't')
  assert.equal(parseOptions({ credentials: { accessToken: 'x' } }).accessToken, null)
  assert.equal(parseOptions({ credentials: null }).accessToken, null)
})
