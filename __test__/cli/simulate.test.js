'use strict'

const assert = require('node:assert/strict')
const { describe, it } = require('node:test')

const { Sender } = require('../../index.js')
const { assertEnd, row, run, scratch, start } = require('./support.js')

async function sendTo(url, texts) {
  const sender = await Sender.open({
    organization: url,
    apiUrl: url,
    credentials: { clientId: 'any', clientSecret: 'thing' },
    route: 'messaging',
    store: 'memory',
    rateLimit: { requests: 1_000, perMs: 1_000 },
  })
  await Promise.all(texts.map((text, seq) => sender.send({ id: text, conversationId: 'c', body: { id: text, seq, text } })))
  await sender.close()
}

const skip = process.platform === 'win32'

describe('spillway simulate', () => {
  for (const signal of ['SIGINT', 'SIGTERM']) {
    it(`prints its URL, serves until ${signal}, and then what arrived`, { skip }, async () => {
      const { child, ended, printed } = start(['simulate', '--quota', '100/1s', '--quota', '1000/1m'])
      const [, url] = await printed(/^simulator at (http:\/\/127\.0\.0\.1:\d+) \(Ctrl-C ends it\)$/m)
      await sendTo(url, ['a', 'b', 'c'])
      child.kill(signal)
      const end = await ended
      assertEnd(end, 0)
      assert.equal(end.stderr, '')
      for (const [label, value] of [
        ['requests that arrived', '3'],
        ['accepted', '3'],
        ['refused with 429', '0'],
        ['answers', '3 × 200'],
        ['most in any 1,000 ms', '3'],
        ['different ids', '3'],
        ['accepted twice', '0'],
        ['out of order', '0'],
        ['tokens issued', '1'],
      ]) {
        assert.deepEqual(row(end.stdout, label), [value])
      }
    })
  }

  it('--json prints a line with the URL, and one with the ledger', { skip }, async (t) => {
    const config = scratch(t)('simulator.json', { script: [{ request: 1, status: 503 }], latencyMs: 1 })
    const { child, ended, printed } = start(['simulate', '--config', config, '--json', '--host', '127.0.0.1', '--port', '0'])
    const { url } = JSON.parse((await printed(/^.*\n/))[0])
    await sendTo(url, ['a'])
    child.kill('SIGINT')
    const end = await ended
    assertEnd(end, 0)
    const [, { ledger }] = end.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    assert.deepEqual(ledger.statuses, { 200: 1, 503: 1 })
    assert.equal(ledger.uniqueIds, 1)
  })

  it('--outage begins and ends by itself', { skip }, async () => {
    const { child, ended, printed } = start(['simulate', '--outage', 'html:502@0s+1h', '--outage', 'status@0ms+2h'])
    const [, url] = await printed(/^simulator at (\S+)/m)
    const answer = await fetch(`${url}/api/v2/users/me`)
    assert.deepEqual([answer.status, answer.headers.get('content-type')], [502, 'text/html'])
    await answer.text()
    child.kill('SIGINT')
    const end = await ended
    assertEnd(end, 0)
    assert.deepEqual([row(end.stdout, 'answers'), row(end.stdout, 'met an outage')], [['1 × 502'], ['1']])
  })

  for (const [outage, message] of [
    ['refused', /--outage must be like refused@10s\+1m \(KIND@FROM\+FOR\), got "refused"/],
    ['dns@0s+1m', /outages\[0\]\.kind must be one of 'refused', 'reset', 'tls', 'status', 'html', 'hang', got "dns"/],
    ['tls@0s+1m', /outages\[0\]\.kind must be another kind, since tls is not set/],
  ]) {
    it(`--outage ${outage} is refused`, async () => {
      const end = await run(['simulate', '--outage', outage])
      assert.notEqual(end.code, 0)
      assert.match(end.stderr, message)
    })
  }
})
