'use strict'

// One budget over several processes, on a real Redis: judged by what arrives.

const assert = require('node:assert/strict')
const { describe, it } = require('node:test')

const { run } = require('../cli/support.js')
const { until } = require('../until.js')
const { allDelivered, assertExact, fleet, redis } = require('./support.js')

const QUOTA = { requests: 50, perMs: 1_000 }

describe('a budget that several processes share', { concurrency: true }, () => {
  it('is never exceeded, and all of it is used', async (t) => {
    const { port } = await redis(t)
    const { hosts, simulator } = await fleet(t, { budget: `redis://127.0.0.1:${port}`, quota: QUOTA })
    await Promise.all(hosts.map((host) => host.do('send', { prefix: host.name, count: 200 })))
    await allDelivered(hosts, 200)
    assertExact(simulator, QUOTA)
    const { mostInWindow, uniqueIds } = simulator.ledger()
    assert.equal(uniqueIds, 800)
    assert.ok(mostInWindow > QUOTA.requests * 0.9, `${mostInWindow} of ${QUOTA.requests} are used`)
  })

  it('goes on without a host that is killed', async (t) => {
    const { port } = await redis(t)
    const { hosts, simulator } = await fleet(t, { budget: `redis://127.0.0.1:${port}`, quota: QUOTA })
    await Promise.all(hosts.map((host) => host.do('send', { prefix: host.name, count: 300 })))
    const [killed, ...others] = hosts
    await until(async () => (await killed.read()).delivered > 20)
    await killed.end()
    await allDelivered(others, 300)
    assertExact(simulator, QUOTA)
  })

  it('goes on without a host that is frozen, which sends nothing by its old lease when it runs again', async (t) => {
    const { port } = await redis(t)
    const { hosts, simulator } = await fleet(t, { budget: `redis://127.0.0.1:${port}`, quota: QUOTA })
    await Promise.all(hosts.map((host) => host.do('send', { prefix: host.name, count: 400 })))
    const [frozen, ...others] = hosts
    await until(async () => (await frozen.read()).delivered > 20)
    frozen.signal('SIGSTOP')
    await until(async () => (await others[0].read()).stats.fleet.hosts === 3)
    frozen.signal('SIGCONT')
    await allDelivered(hosts, 400)
    assertExact(simulator, QUOTA)
  })

  it('is given back by a host that closes: the others have it at once', async (t) => {
    const { port } = await redis(t)
    const budget = `redis://127.0.0.1:${port}`
    const { hosts, simulator, organization } = await fleet(t, { names: ['a', 'b'], budget, quota: QUOTA })
    const [leaving, staying] = hosts
    await Promise.all(hosts.map((host) => host.do('send', { prefix: host.name, count: 600 })))
    await until(async () => (await Promise.all(hosts.map((host) => host.read()))).every(({ stats }) => stats.fleet.share > 20))
    const { stats } = await leaving.read()
    await leaving.do('close')
    const { stdout } = await run(['fleet', budget, '--organization', organization, '--json'])
    const left = JSON.parse(stdout).hosts.find(({ host }) => host === stats.fleet.host)
    assert.equal(left.share, 0)
    await until(async () => (await staying.read()).stats.fleet.share > 45)
    assertExact(simulator, QUOTA)
  })

  it('is found again by a new host when the last one has left', async (t) => {
    const { port } = await redis(t)
    const { hosts, simulator, join } = await fleet(t, { names: ['a'], budget: `redis://127.0.0.1:${port}`, quota: QUOTA })
    await hosts[0].do('send', { prefix: 'a', count: 60 })
    await allDelivered(hosts, 60)
    await hosts[0].do('close')
    const next = await join('b')
    await next.do('send', { prefix: 'b', count: 120 })
    await allDelivered([next], 120)
    assertExact(simulator, QUOTA)
  })
})
