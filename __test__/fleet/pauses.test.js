'use strict'

// A 429 at one host is everybody's business.

const assert = require('node:assert/strict')
const { describe, it } = require('node:test')

const { until } = require('../until.js')
const { allDelivered, fleet, redis } = require('./support.js')

const QUOTA = { requests: 50, perMs: 1_000 }

describe('a pause of a fleet', () => {
  it('begins at every host when one is refused, and one host probes', async (t) => {
    const { port } = await redis(t)
    const { hosts, simulator } = await fleet(t, {
      names: ['a', 'b', 'c'],
      budget: `redis://127.0.0.1:${port}`,
      quota: QUOTA,
      // The server allows less than it is said to: somebody is refused.
      simulator: { quota: { requests: 40, perMs: 1_000, algorithm: 'fixed-window' }, retryAfter: 'right' },
    })
    await Promise.all(hosts.map((host) => host.do('send', { prefix: host.name, count: 150 })))
    const paused = await Promise.all(hosts.map((host) => host.event('throttled', ({ scope }) => scope === 'organization')))
    const times = paused.map(({ at }) => at)
    assert.ok(Math.max(...times) - Math.min(...times) < 1_000, 'all of the same refusal')
    await Promise.all(hosts.map((host) => host.event('resumed', ({ scope }) => scope === 'organization')))
    await allDelivered(hosts, 150)
    await until(async () => (await hosts[0].read()).stats.pauses.length === 0)
    assert.equal(simulator.ledger().uniqueIds, 450)
  })
})
