'use strict'

// A 429 at one host is everybody's business.

const assert = require('node:assert/strict')
const { describe, it } = require('node:test')

const { allDelivered, fleet, redis } = require('./support.js')

const QUOTA = { requests: 50, perMs: 1_000 }
const isOrganizations = ({ scope }) => scope === 'organization'

describe('a pause of a fleet', () => {
  it('begins and ends at hosts that have not been refused', async (t) => {
    const { port } = await redis(t)
    const { hosts, simulator } = await fleet(t, {
      names: ['busy', 'busy too', 'quiet'],
      budget: `redis://127.0.0.1:${port}`,
      quota: QUOTA,
      // The server allows less than it is said to: somebody is refused.
      simulator: { quota: { requests: 40, perMs: 1_000 }, retryAfter: 'right' },
    })
    const [busy, too, quiet] = hosts
    await Promise.all([busy, too].map((host) => host.do('send', { prefix: host.name, count: 150 })))
    await quiet.event('throttled', isOrganizations)
    await quiet.event('resumed', isOrganizations)
    const { stats } = await quiet.read()
    assert.equal(stats.counters.requests, 0)
    assert.ok(simulator.ledger().refused > 0)
    await allDelivered([busy, too], 150)
    assert.equal(simulator.ledger().uniqueIds, 300)
  })
})
