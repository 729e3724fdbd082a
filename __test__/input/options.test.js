'use strict'

// Every option, wrong in its type and in its range: the error names the field, the value and what is allowed.

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const { describe, it } = require('node:test')
const { inspect } = require('node:util')

const { ConfigError, Sender } = require('../../index.js')
const { failure, optionsFor } = require('./support.js')

const NOWHERE = 'http://127.0.0.1:9'
const CANARY = 'canary-9f1e'
const LONE = '\ud800'

class Money {}

/** How an error shows a value that isn't secret. */
function shown(value) {
  if (typeof value === 'bigint') return 'bigint'
  if (typeof value === 'function') return 'function'
  if (typeof value === 'symbol') return 'symbol'
  if (value === LONE) return 'string with a lone surrogate'
  if (value === undefined) return 'nothing'
  if (value instanceof Date) return 'Date'
  if (value instanceof Money) return 'Money'
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object' && value !== null) return 'an object'
  // What stands after these may be a secret, wherever a URL may stand.
  const text = JSON.stringify(typeof value === 'string' ? value.replace(/(?<=[?#]).+/s, '…') : value)
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

/** The base options with the value at a path such as `rateLimit.requests`. */
function withValue(path, value, base = {}) {
  const options = optionsFor(NOWHERE, base)
  const keys = path.split('.')
  let at = options
  for (const key of keys.slice(0, -1)) {
    at[key] = { ...at[key] }
    at = at[key]
  }
  at[keys.at(-1)] = value
  return options
}

/** The ConfigError of options; nothing of it may show the canary. */
async function configError(options) {
  const error = await failure(Sender.open(options), inspect(options, { depth: 3 }))
  assert.ok(error instanceof ConfigError, inspect(error))
  assert.equal(error.name, 'ConfigError')
  for (const text of [error.message, error.stack, inspect(error, { depth: 9 }), JSON.stringify(error)]) {
    assert.ok(!text.includes(CANARY), `a secret is shown: ${text}`)
  }
  return error
}

const NO_NUMBERS = ['5', '', true, {}, [], [1], NaN, Infinity, -Infinity, 5n, () => 5, Symbol('5'), new Date(0), new Money()]
const NO_TEXTS = ['', 5, true, {}, ['a'], 5n, () => 'a', LONE, 'tab\tin it', 'nul\0', new Money(), NaN]
const NO_SECTIONS = ['text', 5, true, [], 5n, () => {}, new Date(0), new Money(), NaN]

function integer(path, min, max, base) {
  return { path, allowed: `an integer from ${min} to ${max}`, base, bad: [...NO_NUMBERS, min - 1, max + 1, min + 0.5, -0.5, 1e300] }
}

function choice(path, words) {
  const allowed = words.map((word) => JSON.stringify(word)).join(' or ')
  return { path, allowed, bad: [...NO_NUMBERS, 0, words[0].toUpperCase(), ` ${words[0]}`] }
}

function text(path, bytesMax, base) {
  const bad = [...NO_TEXTS, 'x'.repeat(bytesMax + 1), 'ü'.repeat(bytesMax / 2 + 1)]
  return { path, allowed: `a string of 1 to ${bytesMax} bytes without control characters`, base, bad }
}

const TABLE = [
  text('organization', 256),
  { path: 'organization', allowed: 'a string', bad: [undefined] },
  { path: 'region', allowed: 'one of us-east-1', bad: ['us-east-9', 'US-EAST-1', 'constructor'] },
  text('region', 64),
  { path: 'route', allowed: 'one of "messaging"', bad: [undefined, 5, true, [], 'other', '__proto__', 5n, () => {}, NaN] },
  text('route.path', 1_024, { route: { path: '/x' } }),
  { path: 'route.path', allowed: 'a path such as', base: { route: {} }, bad: [undefined] },
  {
    path: 'route.path',
    allowed: 'a path',
    base: { route: {} },
    bad: [
      'x',
      'http://foreign.host/x',
      '//foreign.host/x',
      '/a b',
      '/a?b',
      '/a#b',
      '/a\\b',
      '/é',
      '/..',
      '/a/../b',
      '/a/./b',
      '/a/%2e%2e/b',
      '/a/%2E./b',
      '/.%2e',
      '/%2e/b',
      '/{',
      '/}',
      '/{}',
      '/{a b}',
      '/{a}}',
      '/{conversationId}/{',
    ],
  },
  text('route.textField', 128, { route: { path: '/x' } }),
  { path: 'route.array', allowed: 'true or false', base: { route: { path: '/x' } }, bad: ['false', 'true', 0, 1, {}, [], () => {}] },
  integer('route.maxTextLength', 1, 1_000_000, { route: { path: '/x' } }),
  {
    path: 'store',
    allowed: '"memory" or "file:PATH"',
    bad: [undefined, 'Memory', 'disk', 'sqlite:./x', 'file:', 'file:x/', 'file:x?durability=some', 'file:x?y', 'memory:x'],
  },
  text('store', 4_096),
  {
    path: 'rateLimit',
    allowed: '"learn", { requests, perMs }, a list of 1 to 8 of them, or { learn: true, start?, floor?, ceiling?, readLimits? }',
    bad: [undefined, 'fast', 5, true, [], 5n, () => {}, NaN, Array(9).fill({ requests: 1, perMs: 1 })],
  },
  integer('rateLimit.requests', 1, 1_000_000),
  integer('rateLimit.perMs', 1, 86_400_000),
  integer('rateLimit.burst', 1, 1_000),
  { path: 'rateLimit.requests', allowed: 'an integer', base: { rateLimit: { perMs: 5 } }, bad: [undefined] },
  { path: 'rateLimit.perMs', allowed: 'an integer', base: { rateLimit: { requests: 5 } }, bad: [undefined] },
  { path: 'batch', allowed: 'an object', bad: NO_SECTIONS },
  choice('batch.mode', ['none', 'array', 'merge']),
  integer('batch.maxMessages', 1, 10_000),
  integer('batch.maxBytes', 1_024, 16_777_216),
  integer('batch.lingerMs', 0, 60_000),
  { path: 'retry', allowed: 'an object', bad: NO_SECTIONS },
  integer('retry.maxAttempts', 1, 1_000),
  integer('retry.maxAgeMs', 0, 2_592_000_000),
  choice('retry.ambiguous', ['retry', 'fail']),
  choice('retry.endedConversation', ['each', 'bury']),
  integer('retry.maxPauseMs', 1_000, 86_400_000),
  { path: 'retry.statuses', allowed: 'a list of at most 300', bad: [404, '404', {}, true, () => {}, Array(301).fill(404)] },
  choice('ordering', ['conversation', 'none']),
  { path: 'queue', allowed: 'an object', bad: NO_SECTIONS },
  integer('queue.maxMessages', 1, 10_000_000),
  integer('queue.maxBytes', 1_024, 68_719_476_736),
  choice('queue.whenFull', ['wait', 'reject']),
  { path: 'connections', allowed: 'an object', bad: NO_SECTIONS },
  integer('connections.max', 1, 1_024),
  integer('connections.connectTimeoutMs', 10, 120_000),
  integer('connections.requestTimeoutMs', 10, 600_000),
  integer('dedupeMs', 0, 604_800_000),
]

describe('an option that is wrong in type or range', () => {
  for (const { path, allowed, base, bad } of TABLE) {
    it(`${path}: ${allowed}`, async () => {
      for (const value of bad) {
        const error = await configError(withValue(path, value, base))
        const what = `${path} = ${inspect(value).slice(0, 80)}: ${error.message}`
        assert.equal(error.code, 'CONFIG_INVALID', what)
        assert.equal(error.field, path, what)
        assert.ok(error.message.startsWith(`${path} must be ${allowed}`), what)
        assert.ok(error.message.endsWith(`, got ${shown(value)}`), what)
      }
    })
  }

  it('is named with its index among statuses', async () => {
    for (const status of [200, 299, 401, 429, 600, '404', 404.5, NaN, null]) {
      const error = await configError(withValue('retry.statuses', [404, status]))
      assert.deepEqual([error.code, error.field], ['CONFIG_INVALID', 'retry.statuses[1]'])
      assert.ok(error.message.includes('must be an integer from 300 to 599 other than 401 and 429, got '), error.message)
    }
  })

  it('is named with its index in a list', async () => {
    const fine = { requests: 5, perMs: 1_000 }
    for (const [list, field] of [
      [[fine, { requests: 0, perMs: 1 }], 'rateLimit[1].requests'],
      [[{ perMs: 1 }, fine], 'rateLimit[0].requests'],
      [[fine, fine, { ...fine, burst: 6 }], 'rateLimit[2].burst'],
      [[fine, { ...fine, requets: 5 }], 'rateLimit[1].requets'],
      [[fine, 'fast'], 'rateLimit[1]'],
      [[fine, undefined], 'rateLimit[1]'],
      [[fine, null], 'rateLimit[1]'],
    ]) {
      const error = await configError(withValue('rateLimit', list))
      assert.equal(error.field, field, error.message)
      assert.ok(error.message.startsWith(`${field} `), error.message)
    }
  })

  it('is a URL that may hold a password, which is not shown', async () => {
    for (const path of ['apiUrl', 'loginUrl']) {
      for (const value of [
        'ftp://host',
        'file:///etc/passwd',
        'host',
        '/path',
        'http://',
        'javascript:alert(1)',
        `http://user:${CANARY}@host`,
        `http://${CANARY}@host`,
        `https://host/?key=${CANARY}`,
        'http://host/#fragment',
        `http://[${CANARY}`,
        '://',
        'x'.repeat(2_049),
        5,
        {},
        [],
        true,
        () => {},
        5n,
        LONE,
        '',
        'http://ho st',
        'http://host:99999',
      ]) {
        const error = await configError(withValue(path, value))
        assert.equal(error.code, 'CONFIG_INVALID')
        assert.equal(error.field, path, error.message)
        const rule = `${path} must be an http or https URL without credentials, query and fragment, of at most 2048 bytes, got `
        assert.ok(error.message.startsWith(rule), error.message)
      }
    }
    const { apiUrl, ...nowhere } = optionsFor(NOWHERE)
    assert.match((await configError(nowhere)).message, /^region must be one of us-east-1, .*\(or give apiUrl and loginUrl\), got nothing$/)
    assert.equal((await configError({ ...nowhere, loginUrl: apiUrl })).field, 'region')
  })
})

describe('credentials that are wrong', () => {
  it('are told by their field, and never shown', async () => {
    const secret = `${CANARY}-of-the-client`
    for (const [credentials, field] of [
      [undefined, 'credentials'],
      [null, 'credentials'],
      [secret, 'credentials'],
      [[secret], 'credentials[0]'],
      [[], 'credentials'],
      [[{ clientId: 'id', clientSecret: { secret } }], 'credentials[0].clientSecret'],
      [[{ accessToken: secret }], 'credentials[0].accessToken'],
      [5, 'credentials'],
      [() => secret, 'credentials'],
      [new Money(), 'credentials'],
      [{}, 'credentials'],
      [{ clientId: 'id' }, 'credentials.clientSecret'],
      [{ clientSecret: secret }, 'credentials.clientId'],
      [{ clientId: 'id', clientSecret: secret, accessToken: secret }, 'credentials'],
      [{ clientId: 'id', clientSecret: secret, accessToken: () => secret }, 'credentials'],
      [{ clientId: 'id', accessToken: secret }, 'credentials'],
      [{ clientId: `${secret}\n`, clientSecret: secret }, 'credentials.clientId'],
      [{ clientId: [secret], clientSecret: secret }, 'credentials.clientId'],
      [{ clientId: 'id', clientSecret: `${secret} ü` }, 'credentials.clientSecret'],
      [{ clientId: 'id', clientSecret: '' }, 'credentials.clientSecret'],
      [{ clientId: 'id', clientSecret: [secret] }, 'credentials.clientSecret'],
      [{ clientId: 'id', clientSecret: { secret } }, 'credentials.clientSecret'],
      [{ clientId: 'id', clientSecret: () => secret }, 'credentials.clientSecret'],
      [{ clientId: 'id', clientSecret: secret.repeat(100) }, 'credentials.clientSecret'],
      [{ clientId: 'id'.repeat(200), clientSecret: secret }, 'credentials.clientId'],
      [{ accessToken: `${secret}\r\nx-injected: 1` }, 'credentials.accessToken'],
      [{ accessToken: '' }, 'credentials.accessToken'],
      [{ accessToken: 5 }, 'credentials.accessToken'],
      [{ accessToken: { [secret]: secret } }, 'credentials.accessToken'],
      [{ accessToken: { $js: 'function' } }, 'credentials.accessToken'],
      [{ accessToken: 't'.repeat(16_385) }, 'credentials.accessToken'],
      [{ accessToken: secret, scope: secret }, 'credentials.scope'],
    ]) {
      const error = await configError(withValue('credentials', credentials))
      assert.equal(error.code, 'CONFIG_INVALID')
      assert.equal(error.field, field, `${inspect(credentials).slice(0, 80)}: ${error.message}`)
    }
  })
})

it('credentials without values say so: most often two environment variables are not set', async () => {
  for (const credentials of [{}, { clientId: undefined, clientSecret: undefined }, { accessToken: undefined }]) {
    const { message } = await configError(withValue('credentials', credentials))
    const rule = '{ clientId, clientSecret } or { accessToken }, none of which is undefined'
    assert.equal(message, `credentials must be ${rule}, got an object`)
  }
})

describe('keys that nobody reads', () => {
  it('are refused at every level, with those that are allowed', async () => {
    for (const [path, allowed] of [
      ['rateLimits', 'rateLimit'],
      ['maxAttempts', 'retry'],
      ['Store', 'store'],
      ['$js', 'store'],
      ['toString', 'store'],
      ['rateLimit.request', 'requests'],
      ['batch.size', 'maxMessages'],
      ['retry.attempts', 'maxAttempts'],
      ['queue.max', 'maxMessages'],
      ['connections.timeout', 'requestTimeoutMs'],
      ['credentials.secret', 'clientSecret'],
      ['queue.hasOwnProperty', 'maxMessages'],
      ['retry.constructor', 'maxAttempts'],
    ]) {
      for (const value of [5, CANARY, { [CANARY]: 5 }, true]) {
        const error = await configError(withValue(path, value))
        assert.equal(error.code, 'CONFIG_INVALID')
        assert.equal(error.field, path === '$js' ? 'options' : path, error.message)
        if (path !== '$js') assert.match(error.message, new RegExp(`is not an option; allowed here: .*\\b${allowed}\\b`))
      }
    }
    const custom = await configError(withValue('route', { path: '/x', url: 'x' }))
    assert.equal(custom.field, 'route.url')
  })

  it('with undefined as their value are as good as absent', async () => {
    const sender = await Sender.open({ ...optionsFor(NOWHERE), anything: undefined, batch: undefined })
    await sender.close({ timeoutMs: 0 })
  })
})

describe('options that are no tree', () => {
  it('are refused: cycles, throwing getters, no object at all', async () => {
    const cycle = { maxAttempts: 5 }
    cycle.self = cycle
    const throwing = {
      get maxAttempts() {
        throw new Error(CANARY)
      },
    }
    for (const options of [withValue('retry', cycle), withValue('retry', throwing)]) {
      const error = await failure(Sender.open(options))
      assert.deepEqual([error.code, error.field], ['CONFIG_INVALID', 'options'])
      assert.equal(error.message, 'options must be a tree without cycles and throwing getters')
    }
    for (const options of [undefined, null, 5, 'text', [], () => {}, 5n]) {
      const error = await configError(options)
      assert.deepEqual([error.code, error.field], ['CONFIG_INVALID', 'options'])
      assert.match(error.message, /^options must be an object, got /)
    }
  })
})

describe('a quota that is learned', () => {
  it('names what is wrong of it', async () => {
    const rule = '"learn", { requests, perMs }, a list of 1 to 8 of them, or { learn: true, start?, floor?, ceiling?, readLimits? }'
    for (const [rateLimit, field, message] of [
      ['learned', 'rateLimit', `rateLimit must be ${rule}, got "learned"`],
      [{ learn: false }, 'rateLimit.learn', 'rateLimit.learn must be true; leave it out with { requests, perMs }, got false'],
      [{ learn: 1 }, 'rateLimit.learn', 'rateLimit.learn must be true; leave it out with { requests, perMs }, got 1'],
      [
        { learn: true, begin: 5 },
        'rateLimit.begin',
        'rateLimit.begin is not an option; allowed here: ceiling, floor, learn, readLimits, start',
      ],
      [
        { requests: 5, perMs: 1_000, readLimits: true },
        'rateLimit.readLimits',
        'rateLimit.readLimits is not an option; allowed here: burst, perMs, requests',
      ],
      [{ learn: true, readLimits: 'yes' }, 'rateLimit.readLimits', 'rateLimit.readLimits must be true or false, got "yes"'],
      [{ learn: true, start: 5 }, 'rateLimit.start', 'rateLimit.start must be an object, got 5'],
      [
        { learn: true, start: { requests: 5 } },
        'rateLimit.start.perMs',
        'rateLimit.start.perMs must be an integer from 1 to 86400000, got nothing',
      ],
      [
        { learn: true, floor: { requests: 5, perMs: 1_000 }, ceiling: { requests: 4, perMs: 1_000 } },
        'rateLimit.floor',
        'rateLimit.floor must be at most the rate of the ceiling, got an object',
      ],
      [
        { learn: true, start: { requests: 5, perMs: 1_000 }, ceiling: { requests: 4, perMs: 1_000 } },
        'rateLimit.start',
        'rateLimit.start must be a rate from the floor to the ceiling, got an object',
      ],
    ]) {
      const error = await configError(withValue('rateLimit', rateLimit))
      assert.deepEqual([error.code, error.field, error.message], ['CONFIG_INVALID', field, message])
    }
  })
})

const NO_REDIS = 'store "redis:" is not available in this version: use "file:PATH", or "memory", which ends with the process'

describe('what is not available yet', () => {
  it('says so, and what to do', async () => {
    for (const [path, value, message] of [
      ['store', 'redis://localhost', NO_REDIS],
      ['store', `rediss://:${CANARY}@host`, NO_REDIS],
    ]) {
      const error = await configError(withValue(path, value))
      assert.deepEqual([error.code, error.field, error.message], ['CONFIG_INVALID', path, message])
    }
  })
})

it('a relative file in a working directory that is gone', { skip: process.platform !== 'linux' }, () => {
  const script = `
    const fs = require('node:fs')
    const folder = fs.mkdtempSync(require('node:path').join(require('node:os').tmpdir(), 'spillway-gone-'))
    process.chdir(folder)
    fs.rmdirSync(folder)
    require(${JSON.stringify(require.resolve('../../index.js'))})
      .Sender.open(${JSON.stringify(optionsFor(NOWHERE, { store: 'file:outbox.db' }))})
      .catch(({ code, field, message }) => console.log(JSON.stringify([code, field, message])))`
  const [code, field, message] = JSON.parse(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' }))
  assert.deepEqual([code, field], ['CONFIG_INVALID', 'store'])
  assert.match(message, /^store is relative to the working directory, which can't be told \(.+\); give an absolute path$/)
})

describe('options that are right', () => {
  it('stand at the ends of every range', async () => {
    for (const { path, allowed, base } of TABLE) {
      const range = /an integer from (\d+) to (\d+)/.exec(allowed)
      if (range === null) continue
      for (const value of [Number(range[1]), Number(range[2])]) {
        const sender = await Sender.open(withValue(path, value, base)).catch((error) => assert.fail(error))
        await sender.close({ timeoutMs: 0 })
      }
    }
  })

  it('are not changed, and may be frozen', async () => {
    const freeze = (value) => {
      if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(freeze)
      return value
    }
    const options = freeze({
      ...optionsFor(NOWHERE),
      rateLimit: [
        { requests: 100, perMs: 1_000 },
        { requests: 300, perMs: 60_000, burst: 10 },
      ],
      route: { path: '/x/{conversationId}', textField: 'text', array: false, maxTextLength: 765 },
      batch: { mode: 'none' },
      retry: { maxAttempts: 3, ambiguous: 'fail' },
      queue: { whenFull: 'reject' },
      connections: {},
    })
    const before = inspect(options, { depth: 9 })
    const sender = await Sender.open(options)
    await sender.close({ timeoutMs: 0 })
    assert.equal(inspect(options, { depth: 9 }), before)
  })
})
