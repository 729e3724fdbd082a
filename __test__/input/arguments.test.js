'use strict'

// The arguments of every other method.

const assert = require('node:assert/strict')
const { it } = require('node:test')
const { inspect } = require('node:util')

const { ConfigError, Simulator, SpillwayError } = require('../../index.js')
const { failure, open, simulate } = require('./support.js')

const MESSAGE = { conversationId: 'c', body: {} }

it('signals, timeouts and ids that are none', async (t) => {
  const simulator = await simulate(t)
  const sender = await open(t, simulator.url)
  const invalid = async (promise, field) => {
    const error = await failure(promise, field)
    assert.ok(error instanceof ConfigError, inspect(error))
    assert.deepEqual([error.code, error.field], ['MESSAGE_INVALID', field])
  }
  for (const signal of [null, 5, {}, 'abort', new AbortController(), { aborted: false }]) {
    await invalid(sender.send(MESSAGE, { signal }), 'signal')
    await invalid(sender.enqueue(MESSAGE, { signal }), 'signal')
    await invalid(sender.request({ method: 'GET', path: '/x' }, { signal }), 'signal')
    await invalid(sender.drain({ signal }), 'signal')
  }
  for (const options of [null, 5, 'text', []]) {
    await invalid(sender.send(MESSAGE, options), 'options')
    await invalid(sender.drain(options), 'options')
    await invalid(sender.close(options), 'options')
  }
  await invalid(sender.send(MESSAGE, { timeoutMs: 5 }), 'timeoutMs')
  for (const timeoutMs of [-1, NaN, Infinity, '5', null, 5n, 2_592_000_001]) {
    await invalid(sender.drain({ timeoutMs }), 'timeoutMs')
    await invalid(sender.close({ timeoutMs }), 'timeoutMs')
  }
  for (const id of [undefined, null, 5, '', {}, '\ud800', 'x'.repeat(257)]) {
    for (const method of ['explain', 'drop']) await invalid(sender[method](id), 'id')
    // An object is a filter.
    if (typeof id !== 'object' || id === null) await invalid(sender.redrive(id), 'id')
  }
  for (const [method, what] of [
    ['explain', 'message'],
    ['redrive', 'dead letter'],
    ['drop', 'dead letter'],
  ]) {
    const error = await failure(sender[method]('unknown'))
    assert.ok(error instanceof SpillwayError)
    assert.deepEqual([error.code, error.message], ['NOT_FOUND', `no ${what} has the id "unknown"`])
  }
  // A close that was refused has closed nothing.
  assert.equal((await sender.send(MESSAGE)).status, 200)
})

it('configurations of a simulator that are wrong', async (t) => {
  for (const [config, field] of [
    [{ port: 70_000 }, 'port'],
    [{ port: '80' }, 'port'],
    [{ quota: { requests: 0, perMs: 1 } }, 'quota.requests'],
    [{ quota: { requests: 5 } }, 'quota.perMs'],
    [{ quota: { requests: 5, perMs: 5, algorithm: 'guess' } }, 'quota.algorithm'],
    [{ headers: 'z' }, 'headers'],
    [{ retryAfter: 'soon' }, 'retryAfter'],
    [{ latencyMs: -1 }, 'latencyMs'],
    [{ latencyMs: { min: 5, max: 1 } }, 'latencyMs'],
    [{ faults: { status503: 2 } }, 'faults.status503'],
    [{ faults: { cut: 0.5 } }, 'faults.cut'],
    [{ quotas: 5 }, 'quotas'],
    [{ latencyMs: NaN }, 'latencyMs'],
    [{ seed: 5n }, 'seed'],
    [{ host: () => {} }, 'host'],
    [{ host: 'no such host' }, 'host'],
  ]) {
    const error = await failure(Simulator.start(config), inspect(config))
    assert.ok(error instanceof ConfigError, inspect(error))
    assert.equal(error.code, 'CONFIG_INVALID')
    assert.ok(error.field === field || error.field.startsWith(`${field}.`), `${inspect(config)}: ${error.field}: ${error.message}`)
  }
  const simulator = await simulate(t)
  const error = await failure(simulator.set({ retryAfter: 'soon' }))
  assert.ok(error instanceof ConfigError)
  assert.throws(() => simulator.ledger({ id: true }), { code: 'MESSAGE_INVALID' })
  const taken = await failure(Simulator.start({ port: Number(new URL(simulator.url).port) }))
  assert.deepEqual([taken.code, taken.field], ['CONFIG_INVALID', 'port'])
})
