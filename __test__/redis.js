'use strict'

const { execFile, spawn } = require('node:child_process')
const { once } = require('node:events')
const { mkdtempSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { promisify } = require('node:util')

const { freePort, listening } = require('../lib/cli/local-redis.js')
const { install } = require('./debian.js')

const run = promisify(execFile)
const PORTS_TRIED_MAX = 5

/**
 * A real Redis on a free port of this machine, or on that of an earlier one, with its files in a folder of its own below `under`; installed first where
 * Debian's packages can be: `{ port, stop() }`.
 */
async function startRedis({ args = [], under = tmpdir(), port: wanted } = {}) {
  await findOrInstall()
  const folder = mkdtempSync(join(under, '.spillway-redis-'))
  const all = ['--bind', '127.0.0.1', '--save', '', '--dir', folder, ...args]
  for (let tried = 1; ; tried++) {
    const port = wanted ?? (await freePort())
    const server = spawn('redis-server', ['--port', String(port), ...all], { stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = once(server, 'exit')
    const stop = async () => {
      server.kill()
      await ended
      rmSync(folder, { recursive: true, force: true })
    }
    const refusal = await listening(server)
    if (refusal === null) return { port, stop }
    // Another process may have taken the port since it was found free.
    if (refusal.includes('Address already in use') && tried < PORTS_TRIED_MAX) continue
    await stop()
    throw new Error(`redis-server did not start: ${refusal}`)
  }
}

async function findOrInstall() {
  try {
    await run('redis-server', ['--version'])
  } catch {
    await install('redis-server').catch((cause) => {
      throw new Error("a redis-server is needed on the PATH, and installing Debian's did not work", { cause })
    })
  }
}

module.exports = { startRedis }
