'use strict'

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')

const { freePort } = require('../../lib/cli/local-redis.js')
const { defer } = require('../defer.js')
const { redisServer } = require('../redis.js')
const { until } = require('../until.js')
const { redis, tell } = require('./support.js')

/** A primary waits for five seconds for further replicas before it sends its data. */
const SYNC_AT_ONCE = ['--repl-diskless-sync-delay', '0']

const isSynced = async ({ port }) => /master_link_status:up/.test(await tell(port, 'INFO replication'))

/** A primary and a replica that has all of its data. */
async function replicated(t) {
  const primary = await redis(t, { args: SYNC_AT_ONCE })
  const replica = await redis(t, { args: ['--replicaof', '127.0.0.1', `${primary.port}`, ...SYNC_AT_ONCE] })
  await until(() => isSynced(replica))
  return { primary, replica }
}

/** A Sentinel that watches this primary, and alone decides on a failover a second after it is gone. */
async function sentinel(t, { port: primary }) {
  const folder = mkdtempSync(path.join(tmpdir(), '.spillway-sentinel-'))
  const port = await freePort()
  const config = path.join(folder, 'sentinel.conf')
  writeFileSync(
    config,
    [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${folder}`,
      `sentinel monitor acme 127.0.0.1 ${primary} 1`,
      'sentinel down-after-milliseconds acme 1000',
      'sentinel failover-timeout acme 5000',
      '',
    ].join('\n'),
  )
  const child = spawn(await redisServer(), [config, '--sentinel'], { stdio: ['ignore', 'pipe', 'inherit'] })
  defer(t, async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    rmSync(folder, { recursive: true, force: true })
  })
  await listens(child)
  const primaryPort = async () => Number((await tell(port, 'SENTINEL GET-MASTER-ADDR-BY-NAME acme')).split('\r\n')[4])
  // It has found the replica, which it could promote.
  await until(async () => /num-slaves\r\n\$1\r\n1/.test(await tell(port, 'SENTINEL MASTER acme')))
  return { url: `redis+sentinel://127.0.0.1:${port}/acme`, primaryPort }
}

async function listens(child) {
  let log = ''
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
    log += chunk
    if (log.includes('+monitor')) break
  }
  child.stdout.resume()
}

module.exports = { isSynced, replicated, sentinel, SYNC_AT_ONCE }
