'use strict'

// Failures of the Redis behind a shared budget: no more than the quota ever arrives, and sending resumes once Redis is back.

const assert = require('node:assert/strict')
const { describe, it } = require('node:test')

const { proxy } = require('./proxy.js')
const { COUNT, goesOn, isBudgets, redis, tell, underWay } = require('./support.js')

describe('a Redis that shares a budget', { concurrency: true }, () => {
  it('forgets its scripts', async (t) => {
    const { port } = await redis(t)
    const { hosts, simulator } = await underWay(t, `redis://127.0.0.1:${port}`)
    await tell(port, 'SCRIPT FLUSH')
    await goesOn(simulator, hosts)
  })

  it('forgets everything', async (t) => {
    const { port } = await redis(t)
    const { hosts, simulator } = await underWay(t, `redis://127.0.0.1:${port}`)
    await tell(port, 'FLUSHALL')
    await goesOn(simulator, hosts)
  })

  it('is killed, and started again without data', async (t) => {
    const first = await redis(t)
    const { hosts, simulator } = await underWay(t, `redis://127.0.0.1:${first.port}`)
    await first.stop()
    await hosts[0].event('outage', isBudgets(true))
    await redis(t, { port: first.port })
    await hosts[0].event('outage', isBudgets(false))
    await goesOn(simulator, hosts)
  })

  it('changes its password, and has the old one again', async (t) => {
    const { port } = await redis(t, { args: ['--requirepass', 'first-secret'] })
    const { hosts, simulator } = await underWay(t, `redis://:first-secret@127.0.0.1:${port}`)
    await tell(port, 'AUTH first-secret\r\nCONFIG SET requirepass second-secret\r\nCLIENT KILL TYPE pubsub')
    const { payload } = await hosts[0].event('outage', isBudgets(true))
    assert.match(payload.message, /refuses the user or password/)
    const { stats } = await hosts[0].read()
    assert.doesNotMatch(JSON.stringify(stats), /secret/)
    assert.match(stats.fleet.problem, /refuses the user or password/)
    await tell(port, 'AUTH second-secret\r\nCONFIG SET requirepass first-secret')
    await hosts[0].event('outage', isBudgets(false))
    await goesOn(simulator, hosts)
  })

  it('is cut off', async (t) => {
    const { port } = await redis(t)
    const way = await proxy(t, port)
    const { hosts, simulator } = await underWay(t, `redis://127.0.0.1:${way.port}`)
    way.cut()
    await hosts[0].event('outage', isBudgets(true))
    way.set({ isCut: false })
    await goesOn(simulator, hosts)
  })

  it('is slow', async (t) => {
    const { port } = await redis(t)
    const way = await proxy(t, port)
    const { hosts, simulator } = await underWay(t, `redis://127.0.0.1:${way.port}`)
    let at = 0
    // 50 to 450 ms both ways together.
    way.set({ delayMs: () => [25, 225, 125, 75][at++ % 4] })
    await goesOn(simulator, hosts)
  })

  it('executes what it is sent, and its answers are lost', async (t) => {
    const { port } = await redis(t)
    const way = await proxy(t, port)
    const { hosts, simulator } = await underWay(t, `redis://127.0.0.1:${way.port}`)
    way.set({ isMute: true })
    await hosts[0].event('outage', isBudgets(true))
    way.set({ isMute: false })
    await goesOn(simulator, hosts)
  })
})

describe('a budget that is out of reach', { concurrency: true }, () => {
  it('holds messages, and says so', async (t) => {
    const server = await redis(t)
    const { hosts } = await underWay(t, `redis://127.0.0.1:${server.port}`)
    await server.stop()
    await hosts[0].event('outage', isBudgets(true))
    const { stats, failed } = await hosts[0].read()
    assert.equal(failed, 0)
    assert.ok(stats.queue.messages > 0)
    assert.equal(stats.outage.reason, 'budget')
    assert.equal(stats.fleet.leaseUntilMs, null)
    assert.equal(stats.fleet.usesOwnShare, false)
    assert.match(stats.fleet.problem, /Redis/)
    const explanation = await hosts[0].do('explain', `a-${COUNT - 1}`)
    assert.match(JSON.stringify(explanation), /budget/)
  })

  it('is replaced by a share of its own, if that is set', async (t) => {
    const share = { requests: 5, perMs: 1_000 }
    const server = await redis(t)
    const { hosts, simulator } = await underWay(t, `redis://127.0.0.1:${server.port}`, { whenBudgetUnreachable: share })
    await server.stop()
    await hosts[0].event('outage', isBudgets(true))
    const { stats } = await hosts[0].read()
    assert.equal(stats.fleet.usesOwnShare, true)
    await goesOn(simulator, hosts)
  })
})
