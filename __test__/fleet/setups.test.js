'use strict'

// A budget in every set-up of Redis that docs/fleet.md names, and what happens to it there.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { describe, it } = require('node:test')

const { ROOT } = require('../http/support.js')
const { until } = require('../until.js')
const { cluster } = require('./cluster.js')
const { proxy } = require('./proxy.js')
const { isSynced, replicated, sentinel, SYNC_AT_ONCE } = require('./replicas.js')
const { fleet, goesOn, isBudgets, QUOTA, redis, tell, underWay } = require('./support.js')

const FIXTURES = path.join(__dirname, 'fixtures')
/** Certificates for `localhost`: two of an authority that no machine trusts, and one of another. Its key was thrown away. */
const tls = (name) => [path.join(FIXTURES, `${name}.pem`), path.join(FIXTURES, `${name}.key`)]

describe('a Redis with TLS', { concurrency: true }, () => {
  async function secured(t) {
    const { freePort } = require('../../lib/cli/local-redis.js')
    const tlsPort = await freePort()
    const [cert, key] = tls('first')
    const { port } = await redis(t, {
      args: [
        '--tls-port',
        `${tlsPort}`,
        '--tls-cert-file',
        cert,
        '--tls-key-file',
        key,
        '--tls-ca-cert-file',
        path.join(FIXTURES, 'ca.pem'),
        '--tls-auth-clients',
        'no',
      ],
    })
    const renew = async (name) => {
      const [cert, key] = tls(name)
      await tell(port, `CONFIG SET tls-cert-file ${cert} tls-key-file ${key}`)
      await tell(port, 'CLIENT KILL TYPE normal SKIPME yes\r\nCLIENT KILL TYPE pubsub')
    }
    return { url: `rediss://localhost:${tlsPort}`, renew }
  }
  const env = { NODE_EXTRA_CA_CERTS: path.join(FIXTURES, 'ca.pem') }

  it('gets another certificate of the same authority', async (t) => {
    const { url, renew } = await secured(t)
    const { hosts, simulator } = await underWay(t, url, { env })
    await renew('second')
    await goesOn(simulator, hosts)
  })

  it('shows a certificate that nobody trusts, and then one that is trusted', async (t) => {
    const { url, renew } = await secured(t)
    const { hosts, simulator } = await underWay(t, url, { env })
    await renew('stranger')
    const { payload } = await hosts[0].event('outage', isBudgets(true))
    assert.match(payload.message, /certificate/i)
    await renew('second')
    await hosts[0].event('outage', isBudgets(false))
    await goesOn(simulator, hosts)
  })

  it('is not spoken to without trust', async (t) => {
    const { url } = await secured(t)
    const { hosts, simulator } = await fleet(t, { names: ['a'], budget: url, quota: QUOTA })
    await hosts[0].do('send', { prefix: 'a', count: 1 })
    const { payload } = await hosts[0].event('outage', isBudgets(true))
    assert.match(payload.message, /certificate/i)
    assert.equal(simulator.ledger().arrivals, 0)
  })
})

describe('a Redis that allows little', { concurrency: true }, () => {
  /** The line for operators, as it stands in the documents. */
  const [line] = readFileSync(path.join(ROOT, 'docs/fleet.md'), 'utf8').match(/^ACL SETUSER .+$/m)

  it('needs to allow no more than docs/fleet.md says', async (t) => {
    const { port } = await redis(t)
    await tell(port, line)
    await tell(port, 'ACL SETUSER default resetkeys')
    const { hosts, simulator } = await underWay(t, `redis://spillway:secret@127.0.0.1:${port}`)
    await tell(port, 'SCRIPT FLUSH')
    await tell(port, 'FLUSHALL')
    await goesOn(simulator, hosts)
    assert.doesNotMatch(await tell(port, 'ACL LOG'), /spillway/)
  })

  it('says which command is missing, and goes on once it is allowed', async (t) => {
    const { port } = await redis(t)
    await tell(port, line)
    const { hosts, simulator } = await underWay(t, `redis://spillway:secret@127.0.0.1:${port}`)
    await tell(port, 'ACL SETUSER spillway -evalsha')
    const { payload } = await hosts[0].event('outage', isBudgets(true))
    assert.match(payload.message, /may not run the script .+ACL.+NOPERM/)
    assert.doesNotMatch(payload.message, /secret/)
    await tell(port, 'ACL SETUSER spillway +evalsha')
    await hosts[0].event('outage', isBudgets(false))
    await goesOn(simulator, hosts)
  })

  it('has no memory left, and then has', async (t) => {
    const { port } = await redis(t)
    const { hosts, simulator } = await underWay(t, `redis://127.0.0.1:${port}`)
    await tell(port, 'CONFIG SET maxmemory-policy noeviction')
    await tell(port, 'CONFIG SET maxmemory 1')
    const { payload } = await hosts[0].event('outage', isBudgets(true))
    assert.match(payload.message, /memory/)
    await tell(port, 'CONFIG SET maxmemory 0')
    await hosts[0].event('outage', isBudgets(false))
    await goesOn(simulator, hosts)
  })
})

/** The time of a Redis. */
const secondsOf = async ({ port }) => Number((await tell(port, 'TIME')).split('\r\n')[2])

describe('a Redis with a replica', { concurrency: true }, () => {
  it('fails over by Sentinel', async (t) => {
    const { primary, replica } = await replicated(t)
    const { url, primaryPort } = await sentinel(t, primary)
    const { hosts, simulator } = await underWay(t, url)
    await primary.kill()
    await until(async () => (await primaryPort()) === replica.port)
    await goesOn(simulator, hosts)
  })

  it('becomes one itself, answers with READONLY, and is the primary again', async (t) => {
    const { primary, replica } = await replicated(t)
    const { hosts, simulator } = await underWay(t, `redis://127.0.0.1:${primary.port}`)
    await tell(replica.port, 'REPLICAOF NO ONE')
    await tell(primary.port, `REPLICAOF 127.0.0.1 ${replica.port}`)
    const { payload } = await hosts[0].event('outage', isBudgets(true))
    assert.match(payload.message, /READONLY|read-only|replica/i)
    await tell(primary.port, 'REPLICAOF NO ONE')
    await hosts[0].event('outage', isBudgets(false))
    await goesOn(simulator, hosts)
  })

  it('comes back in time with the state of a replica that was far behind, and a newcomer asks it first', async (t) => {
    const server = await redis(t, { args: SYNC_AT_ONCE })
    const way = await proxy(t, server.port)
    const { hosts, simulator, join } = await underWay(t, `redis://127.0.0.1:${server.port}`, { count: 600 })
    // A replica that stays with the state of this moment.
    const late = await redis(t, { args: ['--replicaof', '127.0.0.1', `${way.port}`, ...SYNC_AT_ONCE] })
    await until(() => isSynced(late))
    way.cut()
    // Until all leases of that state are over, and their slots free.
    const since = await secondsOf(late)
    await until(async () => (await secondsOf(late)) > since + 12)
    for (const host of hosts) host.signal('SIGSTOP')
    await tell(late.port, 'REPLICAOF NO ONE')
    await tell(server.port, `REPLICAOF 127.0.0.1 ${late.port}`)
    await until(() => isSynced(server))
    await tell(server.port, 'REPLICAOF NO ONE')
    const newcomer = await join('c')
    await newcomer.do('send', { prefix: 'c', count: 600 })
    await until(async () => (await newcomer.read()).stats.fleet.hosts > 0)
    for (const host of hosts) host.signal('SIGCONT')
    await goesOn(simulator, [...hosts, newcomer], 600)
  })
})

describe('a cluster of three nodes', { concurrency: true }, () => {
  it('shares a budget, and moves it to another node while it is used', async (t) => {
    const nodes = await cluster(t)
    const { hosts, simulator, organization } = await underWay(t, nodes.url)
    const key = `spillway:{${organization}}:budget`
    const move = await nodes.move(key)
    // The key is there, the slot is not yet: the old node answers with ASK.
    await until(async () => (await nodes.redirected(move.from, 'ASK')) > 0)
    await move.finish()
    await goesOn(simulator, hosts)
  })
})
