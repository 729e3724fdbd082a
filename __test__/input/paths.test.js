'use strict'

// Whatever an id holds, it stays in its one segment of the path: a raw server looks at what really came over the wire.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const { describe, it } = require('node:test')

const { ConfigError } = require('../../index.js')
const { TEMPLATES } = require('../../lib/otel/attributes.js')
const { failure, open, record } = require('./support.js')

/** Values, and the segment that a server must see: all but RFC 3986's unreserved characters encoded. */
const SEGMENTS = [
  ['plain-1_2~3.4', 'plain-1_2~3.4'],
  ['../../admin', '..%2F..%2Fadmin'],
  ['..\\..\\admin', '..%5C..%5Cadmin'],
  ['../', '..%2F'],
  ['./', '.%2F'],
  ['/..', '%2F..'],
  ['...', '...'],
  ['. .', '.%20.'],
  ['%2e%2e', '%252e%252e'],
  ['%2E%2E%2F', '%252E%252E%252F'],
  ['.%2e', '.%252e'],
  ['%252e', '%25252e'],
  ['%', '%25'],
  ['%zz', '%25zz'],
  ['a\0b', 'a%00b'],
  ['\0', '%00'],
  ['a\r\nX-Injected: 1\r\n\r\nGET /x HTTP/1.1', 'a%0D%0AX-Injected%3A%201%0D%0A%0D%0AGET%20%2Fx%20HTTP%2F1.1'],
  ['tab\tand space ', 'tab%09and%20space%20'],
  ['a/b', 'a%2Fb'],
  ['//evil.example/x', '%2F%2Fevil.example%2Fx'],
  ['http://evil.example/', 'http%3A%2F%2Fevil.example%2F'],
  ['@evil.example', '%40evil.example'],
  ['user:pass@evil.example:80', 'user%3Apass%40evil.example%3A80'],
  ['a?b=c', 'a%3Fb%3Dc'],
  ['a#b', 'a%23b'],
  ['a;b=c', 'a%3Bb%3Dc'],
  ['a&b+c', 'a%26b%2Bc'],
  ['{conversationId}', '%7BconversationId%7D'],
  ["!$'()*,", '%21%24%27%28%29%2A%2C'],
  ['<script>"`|^[]', '%3Cscript%3E%22%60%7C%5E%5B%5D'],
  ['ü', '%C3%BC'],
  ['日本', '%E6%97%A5%E6%9C%AC'],
  ['👋🏾', '%F0%9F%91%8B%F0%9F%8F%BE'],
  ['\u2028\ufeff', '%E2%80%A8%EF%BB%BF'],
  ['e\u0301', 'e%CC%81'],
  ['é', '%C3%A9'],
  ['\u202e', '%E2%80%AE'],
  ['x'.repeat(512), 'x'.repeat(512)],
]

describe('an id stays in its segment', () => {
  it('a conversationId in the path of a preset', async (t) => {
    const { url, requests } = await record(t)
    const sender = await open(t, url)
    for (const [conversationId, segment] of SEGMENTS) {
      const { id } = await sender.send({ conversationId, body: {} })
      assert.equal(requests.at(-1).url, `/api/v2/messaging/conversations/${segment}/messages`)
      assert.equal(requests.at(-1).headers['idempotency-key'], id)
      assert.equal(requests.at(-1).headers['x-injected'], undefined)
    }
    assert.equal(requests.length, SEGMENTS.length)
  })

  it('the path of each preset, which is one of the newest SDK where that has such a route', async (t) => {
    const { url, requests } = await record(t)
    const sdk = readFileSync(require.resolve('purecloud-platform-client-v2'), 'utf8')
    for (const [route, template] of Object.entries(TEMPLATES)) {
      const sender = await open(t, url, { route })
      const names = [...template.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).filter((name) => name !== 'conversationId')
      await sender.send({ conversationId: 'c', body: {}, params: Object.fromEntries(names.map((name) => [name, 'p'])) })
      assert.equal(requests.at(-1).url, template.replace('{conversationId}', 'c').replace(/\{\w+\}/g, 'p'), route)
      assert.equal(sdk.includes(`'${template}'`), !route.startsWith('messaging'), route)
    }
  })

  it('a param, two in one segment, and behind a base URL with a path', async (t) => {
    const { url, requests } = await record(t)
    const sender = await open(t, `${url}/gateway/v1/`, { route: { path: '/x/{a}-{b}/y/{conversationId}' } })
    for (const [value, segment] of SEGMENTS) {
      await sender.send({ conversationId: 'c', body: {}, params: { a: value, b: value } })
      assert.equal(requests.at(-1).url, `/gateway/v1/x/${segment}-${segment}/y/c`)
    }
  })

  it('a message id in its header, encoded', async (t) => {
    const { url, requests } = await record(t)
    const sender = await open(t, url)
    for (const id of ['a\r\nX-Injected: 1', 'a\0b', 'ünï', '👋', 'a b', '"', 'x'.repeat(256)]) {
      const receipt = await sender.send({ id, conversationId: 'c', body: {} })
      assert.equal(receipt.id, id)
      const { headers } = requests.at(-1)
      assert.equal(decodeURIComponent(headers['idempotency-key']), id)
      assert.equal(headers['x-injected'], undefined)
    }
  })

  it('"." and "..", which no encoding keeps in their segment, are refused', async (t) => {
    const { url, requests } = await record(t)
    const sender = await open(t, url)
    for (const conversationId of ['.', '..']) {
      for (const method of ['send', 'enqueue']) {
        const error = await failure(sender[method]({ conversationId, body: {} }))
        assert.ok(error instanceof ConfigError)
        assert.deepEqual([error.code, error.field], ['MESSAGE_INVALID', 'conversationId'])
        assert.equal(error.message, 'conversationId must not be empty, "." or "..": it is a path segment')
      }
    }
    assert.equal(requests.length, 0)
    // Where it is in no path, it is an id like any other.
    const agentless = await open(t, url, { route: 'agentless' })
    assert.equal((await agentless.send({ conversationId: '..', body: {} })).conversationId, '..')
    assert.equal(requests[0].url, '/api/v2/conversations/messages/agentless')
  })
})

describe('request() stays on its host, with its own headers', () => {
  it('refuses other hosts, dot segments, and what URL parsers would read as either', async (t) => {
    const { url, requests } = await record(t)
    const sender = await open(t, url)
    for (const path of [
      'http://evil.example/',
      'https://evil.example',
      '//evil.example/x',
      '/\\evil.example',
      '\\\\evil.example',
      '@evil.example',
      ':80/x',
      'x',
      '',
      '/a/../b',
      '/..',
      '/./x',
      '/%2e%2e/x',
      '/a/%2E%2e',
      '/.%2E/x',
      '/%2e',
      '/a b',
      '/a\tb',
      '/a\r\nb',
      '/\n/evil.example',
      '/a\0',
      '/ü',
      '/a#b',
      '/a\\b',
      '/\t/evil.example',
      `/${'x'.repeat(8_192)}`,
      5,
      null,
      undefined,
      {},
      ['/x'],
      new URL('http://x/'),
    ]) {
      const error = await failure(sender.request({ method: 'GET', path }), String(path))
      assert.ok(error instanceof ConfigError, String(error))
      assert.deepEqual([error.code, error.field], ['MESSAGE_INVALID', 'path'], String(path))
    }
    assert.equal(requests.length, 0)
  })

  it('keeps what looks like another host in its path', async (t) => {
    const { url, requests } = await record(t)
    const sender = await open(t, url)
    for (const path of [
      '/@evil.example/',
      '/http://evil.example/',
      '/a//b',
      '/a;b/..;/c',
      '/.../x',
      '/%2F%2Fevil.example',
      '/a?b=/../c',
      '/a%20b?x=%0d%0a',
    ]) {
      await sender.request({ method: 'GET', path })
      assert.equal(requests.at(-1).url, path)
      assert.equal(requests.at(-1).headers.host, url.slice('http://'.length))
    }
  })

  it('encodes the query', async (t) => {
    const { url, requests } = await record(t)
    const sender = await open(t, url)
    await sender.request({
      method: 'GET',
      path: '/x?a=1',
      query: { 'b&c': 'd=e#f', g: ['1/2', '\r\n'], h: true, i: 5, j: undefined, ü: '👋' },
    })
    assert.equal(requests[0].url, '/x?a=1&b%26c=d%3De%23f&g=1%2F2&g=%0D%0A&h=true&i=5&%C3%BC=%F0%9F%91%8B')
    for (const query of [
      { a: NaN },
      { a: {} },
      { a: 5n },
      { a: [1] },
      { a: null },
      { a: '\ud800' },
      { '\udc00': 'a' },
      [],
      'a=b',
      new Map(),
      null,
    ]) {
      const error = await failure(sender.request({ method: 'GET', path: '/x', query }))
      assert.equal(error.code, 'MESSAGE_INVALID')
      assert.match(error.field, /^query/)
    }
  })

  it('refuses headers that would break out or contradict', async (t) => {
    const { url, requests } = await record(t)
    const sender = await open(t, url)
    const canary = 'canary-key-77'
    for (const headers of [
      { 'x-a': `${canary}\r\nx-injected: 1` },
      { 'x-a': `${canary}\n` },
      { 'x-a': `\r${canary}` },
      { 'x-a': `${canary}\0` },
      { 'x-a': `${canary}名` },
      { 'x-a': `${canary}\x7f` },
      { 'x-a\r\nx-injected': canary },
      { 'x a': canary },
      { 'x:a': canary },
      { '': canary },
      { ü: canary },
      { authorization: canary },
      { Authorization: canary },
      { HOST: canary },
      { 'Content-Length': '0' },
      { 'Transfer-Encoding': 'chunked' },
      { connection: 'close' },
      { 'x-a': 5 },
      { 'x-a': [canary] },
      { 'x-a': undefined },
      { 'x-a': canary, 'X-A': canary },
      { 'x-a': canary.repeat(1_000) },
      Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`x-${index}`, canary])),
      [],
      'x-a: 1',
      null,
      new Map(),
    ]) {
      const error = await failure(sender.request({ method: 'GET', path: '/x', headers }))
      assert.equal(error.code, 'MESSAGE_INVALID', error.message)
      assert.match(error.field, /^headers/)
      assert.ok(!error.message.includes(canary) && !error.stack.includes(canary), error.message)
    }
    assert.equal(requests.length, 0)
    await sender.request({ method: 'POST', path: '/x', headers: { 'X-Key': `${canary}\tend`, 'Content-Type': 'text/csv' }, body: 'a,b' })
    const { headers, rawHeaders, body } = requests[0]
    assert.equal(headers['x-key'], `${canary}\tend`)
    assert.equal(headers['content-type'], 'text/csv')
    assert.equal(headers.authorization, 'Bearer not-a-secret')
    assert.equal(body.toString(), 'a,b')
    const names = rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase())
    assert.equal(new Set(names).size, names.length, `a header came twice: ${names}`)
  })

  it('refuses methods and bodies that are none', async (t) => {
    const { url, requests } = await record(t)
    const sender = await open(t, url)
    for (const method of ['get', 'TRACE', 'CONNECT', 'GET /x HTTP/1.1\r\nHost: evil', '', undefined, null, 5, ['GET']]) {
      const error = await failure(sender.request({ method, path: '/x' }))
      assert.deepEqual([error.code, error.field], ['MESSAGE_INVALID', 'method'])
    }
    for (const body of [5n, () => {}, Symbol('x'), NaN, '\ud800', { a: '\udc00' }]) {
      const error = await failure(sender.request({ method: 'POST', path: '/x', body }))
      assert.deepEqual([error.code, error.field], ['MESSAGE_INVALID', 'body'])
    }
    for (const [key, value] of [
      ['timeoutMs', 0],
      ['timeoutMs', 600_001],
      ['maxResponseBytes', 0],
      ['maxResponseBytes', '5'],
      ['priority', 101],
      ['expiresInMs', 0],
      ['retries', 3],
    ]) {
      const error = await failure(sender.request({ method: 'GET', path: '/x', [key]: value }))
      assert.deepEqual([error.code, error.field], ['MESSAGE_INVALID', key])
    }
    assert.equal(requests.length, 0)
  })
})
