'use strict'

const { execFile, spawn } = require('node:child_process')
const { once } = require('node:events')
const { mkdtempSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { promisify } = require('node:util')

const { freePort, listening } = require('../lib/cli/local-redis.js')
const { install } = require('../lib/cli/debian.js')

const run = promisify(execFile)
const PORTS_TRIED_MAX = 5

/**
 * A real Redis on a free port of this machine, or on that of an earlier one, with its files in a folder of its own below `under`; installed first where
 * Debian's packages can be: `{ port, stop(), kill() }`. `program` is another one, as is SPILLWAY_REDIS_SERVER of the environment.
 */
async function startRedis({ args = [], under = tmpdir(), port: wanted, program } = {}) {
  program ??= await redisServer()
  const folder = mkdtempSync(join(under, '.spillway-redis-'))
  const all = ['--bind', '127.0.0.1', '--save', '', '--dir', folder, ...args]
  for (let tried = 1; ; tried++) {
    const port = wanted ?? (await freePort())
    const server = spawn(program, ['--port', String(port), ...all], { stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = once(server, 'exit')
    const stop = async (signal) => {
      server.kill(signal)
      await ended
      rmSync(folder, { recursive: true, force: true })
    }
    const refusal = await listening(server)
    if (refusal === null) return { port, stop: () => stop(), kill: () => stop('SIGKILL') }
    // Another process may have taken the port since it was found free.
    if (refusal.includes('Address already in use') && tried < PORTS_TRIED_MAX) continue
    await stop()
    throw new Error(`${program} did not start: ${refusal}`)
  }
}

/** The program of a Redis, which is installed first if there is none. */
async function redisServer() {
  if (process.env.SPILLWAY_REDIS_SERVER) return process.env.SPILLWAY_REDIS_SERVER
  try {
    await run('redis-server', ['--version'])
  } catch {
    await install('redis-server').catch((cause) => {
      throw new Error("a redis-server is needed on the PATH, and installing Debian's did not work", { cause })
    })
  }
  return 'redis-server'
}

module.exports = { redisServer, startRedis }
