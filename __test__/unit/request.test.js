'use strict'

const assert = require('node:assert/strict')
const { constants } = require('node:buffer')
const { test } = require('node:test')

const { checkRequest } = require('../../lib/request.js')

const get = { method: 'GET', path: '/api/v2/users/me' }
const head = (request) => JSON.parse(checkRequest(request).head)

const pathRule = 'path must be "/" and a path on the API host, percent-encoded, of at most 8192 characters'
const dotRule = 'path must be a path without "." and ".." segments, encoded or not'
const valueRule = 'headers.x must be at most 8192 characters of Latin-1, without control characters'
const queryRule = 'query.q must be a string, a finite number, a boolean or an array of strings'
const methods = 'method must be one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'

const REFUSED = [
  [null, 'request must be an object, got null'],
  [{ ...get, url: 'x' }, /^"url" is not a key of request; allowed are method, path,/],
  [{ ...get, method: 'get' }, `${methods}, got "get"`],
  [{ ...get, method: 'CONNECT' }, `${methods}, got "CONNECT"`],
  [{ ...get, method: 'GET /evil HTTP/1.1\r\n' }, `${methods}, got "GET /evil HTTP/1.1\\r\\n"`],
  [{ method: 'GET' }, `${pathRule}, got undefined`],
  [{ ...get, path: '' }, `${pathRule}, got ""`],
  [{ ...get, path: 'api' }, `${pathRule}, got "api"`],
  [{ ...get, path: 'https://evil.example/' }, `${pathRule}, got "https://evil.example/"`],
  [{ ...get, path: '//evil.example/' }, `${pathRule}, got "//evil.example/"`],
  [{ ...get, path: '/\\evil.example/' }, `${pathRule}, got "/\\\\evil.example/"`],
  [{ ...get, path: '/\t/evil.example/' }, `${pathRule}, got "/\\t/evil.example/"`],
  [{ ...get, path: '/a\r\nx: y' }, `${pathRule}, got "/a\\r\\nx: y"`],
  [{ ...get, path: '/a\0' }, `${pathRule}, got "/a\\u0000"`],
  [{ ...get, path: '/a b' }, `${pathRule}, got "/a b"`],
  [{ ...get, path: '/ä' }, `${pathRule}, got "/ä"`],
  [{ ...get, path: '/a#b' }, `${pathRule}, got "/a#…"`],
  [{ ...get, path: `/${'a'.repeat(8192)}` }, `${pathRule}, got "/${'a'.repeat(59)}"…`],
  [{ ...get, path: '/a/../b' }, `${dotRule}, got "/a/../b"`],
  [{ ...get, path: '/a/..' }, `${dotRule}, got "/a/.."`],
  [{ ...get, path: '/a/%2e%2E/b' }, `${dotRule}, got "/a/%2e%2E/b"`],
  [{ ...get, path: '/a/.%2e?x' }, `${dotRule}, got "/a/.%2e?…"`],
  [{ ...get, path: '/./a' }, `${dotRule}, got "/./a"`],
  [{ ...get, query: 'a=b' }, 'query must be a plain object, got "a=b"'],
  [{ ...get, query: { q: null } }, `${queryRule}, got null`],
  [{ ...get, query: { q: NaN } }, `${queryRule}, got NaN`],
  [{ ...get, query: { q: [1] } }, `${queryRule}, got 1`],
  [{ ...get, query: { q: { a: 1 } } }, `${queryRule}, got an object`],
  [{ ...get, query: { q: '\ud800' } }, 'query.q must be text without lone surrogates'],
  [{ ...get, headers: [['a', 'b']] }, 'headers must be a plain object of strings, got an array'],
  [
    { ...get, headers: { 'a b': 'c' } },
    'headers must have header names as keys, got one of 3 characters, of which number 2 is not allowed',
  ],
  [
    { ...get, headers: { 'a\r\nb': 'c' } },
    'headers must have header names as keys, got one of 4 characters, of which number 2 is not allowed',
  ],
  [{ ...get, headers: { '': 'c' } }, 'headers must have header names as keys, got an empty one'],
  [{ ...get, headers: { x: 1 } }, 'headers.x must be a string, got a number'],
  [{ ...get, headers: { x: 'secret\r\nhost: evil' } }, valueRule],
  [{ ...get, headers: { x: 'secret\0' } }, valueRule],
  [{ ...get, headers: { x: 'Ā' } }, valueRule],
  [{ ...get, headers: { x: 'ä名' } }, valueRule],
  [{ ...get, headers: { x: '\ud800' } }, valueRule],
  [{ ...get, headers: { x: '\x7f' } }, valueRule],
  [{ ...get, headers: { x: 'a'.repeat(8193) } }, valueRule],
  [{ ...get, headers: { A: 'x', a: 'y' } }, 'headers.a must not be given twice'],
  [
    { ...get, headers: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`h${i}`, ''])) },
    'headers must be at most 64 headers, got an object',
  ],
  ...['Authorization', 'host', 'Content-Length', 'TRANSFER-ENCODING', 'connection'].map((name) => [
    { ...get, headers: { [name]: 'secret' } },
    `headers.${name} is set by the sender and must not be given`,
  ]),
  [{ ...get, priority: 200 }, 'priority must be an integer from -100 to 100, got 200'],
  [{ ...get, timeoutMs: 0 }, 'timeoutMs must be an integer from 1 to 600000, got 0'],
  [{ ...get, timeoutMs: 1.5 }, 'timeoutMs must be an integer from 1 to 600000, got 1.5'],
  [{ ...get, maxResponseBytes: 2 ** 26 + 1 }, 'maxResponseBytes must be an integer from 1 to 67108864, got 67108865'],
  [{ ...get, maxResponseBytes: null }, 'maxResponseBytes must be an integer from 1 to 67108864, got null'],
  [{ ...get, expiresInMs: 0 }, /^expiresInMs must be a number of milliseconds above 0/],
  [{ ...get, deadlineMs: 0 }, 'deadlineMs must be a number of milliseconds above 0 and at most 2592000000 (30 days), got 0'],
  [{ ...get, deadlineMs: 2_592_000_001 }, /^deadlineMs must be a number of milliseconds above 0/],
  [{ ...get, deadlineMs: '5' }, /^deadlineMs must be a number of milliseconds above 0/],
  [{ ...get, retry: true }, 'retry must be false or an object of maxAttempts and maxAgeMs, got true'],
  [{ ...get, retry: 3 }, 'retry must be false or an object of maxAttempts and maxAgeMs, got 3'],
  [{ ...get, retry: { attempts: 1 } }, '"attempts" is not a key of retry; allowed are maxAttempts, maxAgeMs'],
  [{ ...get, retry: { maxAttempts: 0 } }, 'retry.maxAttempts must be an integer from 1 to 1000, got 0'],
  [{ ...get, retry: { maxAgeMs: -1 } }, 'retry.maxAgeMs must be an integer from 0 to 2592000000, got -1'],
  [{ ...get, idempotent: 'yes' }, 'idempotent must be true or false, got "yes"'],
  [{ ...get, body: 1n }, 'body must be a JSON value: it holds a bigint'],
  [{ ...get, body: 'secret\ud800' }, 'body must hold no lone surrogate'],
  [{ ...get, body: () => {} }, 'body must be a JSON value, got a function'],
]

test('each bad request is refused by name and rule; header values and bodies are not shown', () => {
  for (const [request, expected] of REFUSED) {
    assert.throws(
      () => checkRequest(request),
      (error) => {
        assert.equal(error.name, 'ConfigError')
        assert.equal(error.code, 'MESSAGE_INVALID')
        if (expected instanceof RegExp) assert.match(error.message, expected)
        else assert.equal(error.message, expected)
        assert.doesNotMatch(error.message, /secret/)
        return true
      },
    )
  }
})

test('retries, deadline and idempotence of one call', () => {
  const { retry, deadlineMs, idempotent } = head({ ...get, retry: { maxAttempts: 2, maxAgeMs: 0 }, deadlineMs: 0.5, idempotent: false })
  assert.deepEqual({ retry, deadlineMs, idempotent }, { retry: { maxAttempts: 2, maxAgeMs: 0 }, deadlineMs: 0.5, idempotent: false })
  assert.deepEqual(head({ ...get, retry: false }).retry, { maxAttempts: 1 })
})

test('an adapter may use any method and any path that a URL parser has made', () => {
  const raw = (request) => JSON.parse(checkRequest({ ...get, ...request }, { raw: true }).head)
  for (const method of ['GET', 'patch', 'PURGE', 'M-SEARCH', "x!#$%&'*+.^_`|~9"]) assert.equal(raw({ method }).method, method)
  for (const method of ['', 'a b', 'CONNECT', 'trace', 'TRACK', 'GET /evil HTTP/1.1\r\n', 'ä', undefined]) {
    assert.throws(() => raw({ method }), { name: 'ConfigError', message: /^method must be/ })
  }
  for (const path of ['/', '//double//slash', '/a?b=\\c', '/a?b=c?d|^`{}']) assert.equal(raw({ path }).path, path)
  for (const path of ['', 'a', '/a\\b', '/a b', '/a#b', '/ä', '/a?b#c', '/a\r\nx: y', `/${'a'.repeat(8192)}`]) {
    assert.throws(() => raw({ path }), { name: 'ConfigError', message: /^path must be/ })
  }
})

test('the query is encoded into the path', () => {
  const query = { a: 'ü b&c=d', n: 1.5, yes: true, list: ['x', 'y/z'], none: [], absent: undefined }
  assert.equal(head({ ...get, query }).path, '/api/v2/users/me?a=%C3%BC%20b%26c%3Dd&n=1.5&yes=true&list=x&list=y%2Fz')
  assert.equal(head({ ...get, path: '/a?b=1', query: { c: '2' } }).path, '/a?b=1&c=2')
  assert.equal(head({ ...get, query: {} }).path, get.path)
})

test('a body brings its type, unless the caller gave one', () => {
  const post = { method: 'POST', path: '/a' }
  const table = [
    [{ a: 1 }, '{"a":1}', 'application/json'],
    [null, 'null', 'application/json'],
    ['grüße', 'grüße', 'text/plain; charset=utf-8'],
    [Buffer.from('x'), 'x', 'application/octet-stream'],
    [new Uint8Array([120]), 'x', 'application/octet-stream'],
  ]
  for (const [body, text, type] of table) {
    const checked = checkRequest({ ...post, body })
    assert.equal(Buffer.from(checked.body).toString(), text)
    assert.deepEqual(JSON.parse(checked.head).headers, { 'content-type': type })
    assert.deepEqual(head({ ...post, body, headers: { 'Content-Type': 'a/b' } }).headers, { 'content-type': 'a/b' })
    assert.equal(head({ ...post, body, headers: { x: '\tä\x80\xff' } }).headers.x, '\tä\x80\xff')
  }
  const bare = checkRequest(post)
  assert.equal(bare.body, null)
  assert.deepEqual(JSON.parse(bare.head), { method: 'POST', path: '/a', headers: {}, maxResponseBytes: 8_388_608 })
})

test('the largest answer that may be asked for fits a string, or is bytes', () => {
  assert.ok(2 ** 26 < constants.MAX_STRING_LENGTH)
  for (const [bytes, options] of [[2 ** 26], [2 ** 28, { raw: true }]]) {
    assert.equal(JSON.parse(checkRequest({ ...get, maxResponseBytes: bytes }, options).head).maxResponseBytes, bytes)
    assert.throws(() => checkRequest({ ...get, maxResponseBytes: bytes + 1 }, options), { name: 'ConfigError' })
  }
})
