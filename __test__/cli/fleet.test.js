'use strict'

const assert = require('node:assert/strict')
const { describe, it } = require('node:test')

const { fleet, redis } = require('../fleet/support.js')
const { until } = require('../until.js')
const { assertEnd, run } = require('./support.js')

describe('spillway fleet', () => {
  it('shows who shares a budget, as a table and as JSON', async (t) => {
    const { port } = await redis(t)
    const budget = `redis://127.0.0.1:${port}`
    const { hosts, organization } = await fleet(t, { names: ['a'], budget, quota: { requests: 50, perMs: 1_000 } })
    const [host] = hosts
    await host.do('send', { prefix: 'a', count: 300 })
    await until(async () => (await host.read()).delivered > 0)
    const { stats } = await host.read()
    const shown = await run(['fleet', budget, '--organization', organization, '--json'])
    assertEnd(shown, 0)
    const { hosts: rows, waitsMs } = JSON.parse(shown.stdout)
    assert.equal(waitsMs, null)
    assert.equal(rows.length, 1)
    assert.equal(rows[0].host, stats.fleet.host)
    assert.equal(rows[0].requests, 50)
    assert.equal(rows[0].perMs, 1_000)
    const table = await run(['fleet', budget, '--organization', organization])
    assertEnd(table, 0)
    assert.match(table.stdout, /^host +lease +conversations +window +quota +needs +target +share$/m)
    assert.ok(table.stdout.includes(stats.fleet.host))
  })

  it('shows that there is nobody', async (t) => {
    const { port } = await redis(t)
    const end = await run(['fleet', `redis://127.0.0.1:${port}`, '--organization', 'nobody'])
    assertEnd(end, 0)
    assert.equal(end.stdout, 'no host has a lease\n')
  })

  it('takes user and password from the environment, and shows neither', async (t) => {
    const { port } = await redis(t, { args: ['--requirepass', 'hush-hush'] })
    const url = `redis://127.0.0.1:${port}`
    const allowed = await run(['fleet', url, '--organization', 'acme'], { env: { SPILLWAY_REDIS_PASSWORD: 'hush-hush' } })
    assertEnd(allowed, 0)
    const refused = await run(['fleet', url.replace('//', '//:wrong-secret@'), '--organization', 'acme'])
    assertEnd(refused, 1)
    assert.match(refused.stderr, /refuses the user or password/)
    assert.doesNotMatch(refused.stderr, /secret/)
  })

  for (const [what, args, message] of [
    ['no URL', ['--organization', 'acme'], /URL of the Redis is missing/],
    ['no organization', ['redis://localhost'], /--organization is missing/],
    ['another URL', ['http://:secret@localhost', '--organization', 'acme'], /URL must be "redis:/],
  ]) {
    it(`refuses ${what}`, async () => {
      const end = await run(['fleet', ...args])
      assertEnd(end, 2)
      assert.match(end.stderr, message)
      assert.doesNotMatch(end.stderr, /secret/)
    })
  }

  it('says that a Redis is not there', async (t) => {
    const server = await redis(t)
    await server.stop()
    const end = await run(['fleet', `redis://127.0.0.1:${server.port}`, '--organization', 'acme'])
    assertEnd(end, 1)
    assert.match(end.stderr, /Redis cannot be reached/)
  })
})
