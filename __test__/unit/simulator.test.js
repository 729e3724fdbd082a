'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { use } = require('../../lib/load.js')
const { asyncDispose } = require('../../lib/dispose.js')
const { Simulator } = require('../../lib/simulator.js')

class FakeSimulator {
  static async start(config) {
    if (config.includes('bad')) throw new Error('{"code":"CONFIG_INVALID","field":"quota","message":"quota must be an object"}')
    return new FakeSimulator(JSON.parse(config))
  }

  url = 'http://127.0.0.1:1'
  closed = 0

  constructor(config) {
    this.config = config
  }

  ledger(options) {
    return JSON.stringify({ options, config: this.config, closed: this.closed })
  }

  async set(config) {
    if (config.includes('bad')) throw new Error('{"code":"CONFIG_INVALID","field":"faults","message":"faults must be an object"}')
    Object.assign(this.config, JSON.parse(config))
  }

  async close() {
    this.closed++
  }
}

test('the facade passes on, parses, and closes once', async () => {
  use({ NativeSimulator: FakeSimulator })
  const simulator = await Simulator.start({ quota: null })
  assert.equal(simulator.url, 'http://127.0.0.1:1')
  await simulator.set({ refuse: true })
  assert.deepEqual(simulator.ledger().config, { quota: null, refuse: true })
  assert.equal(simulator.ledger({ ids: true }).options, '{"ids":true}')
  assert.equal(simulator.close(), simulator.close())
  await simulator[asyncDispose]()
  assert.equal(simulator.ledger().closed, 1)
  assert.deepEqual((await Simulator.start()).ledger().config, {})
})

test('bad configurations are ConfigErrors', async () => {
  use({ NativeSimulator: FakeSimulator })
  const simulator = await Simulator.start()
  await assert.rejects(Simulator.start({ bad: 1 }), { name: 'ConfigError', field: 'quota', message: 'quota must be an object' })
  await assert.rejects(simulator.set({ bad: 1 }), { name: 'ConfigError', field: 'faults' })
  await assert.rejects(Simulator.start(7), { name: 'ConfigError', message: 'config must be an object, got 7' })
  await assert.rejects(simulator.set(), { name: 'ConfigError', message: 'config must be an object, got undefined' })
  assert.throws(() => simulator.ledger({ id: true }), { name: 'ConfigError', message: /^"id" is not a key of options/ })
  assert.throws(() => new Simulator(), /await Simulator\.start/)
})
