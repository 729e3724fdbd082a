'use strict'

const { execFile, spawn } = require('node:child_process')
const { once } = require('node:events')
const { mkdtempSync, rmSync } = require('node:fs')
const { createServer } = require('node:net')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { promisify } = require('node:util')

const run = promisify(execFile)
const INSTALL_MS_MAX = 180_000

/**
 * A real Redis on a free port of this machine, with its files in a folder of its own below `under`; installed first where
 * Debian's packages can be: `{ port, stop() }`.
 */
async function startRedis({ args = [], under = tmpdir() } = {}) {
  await findOrInstall()
  const folder = mkdtempSync(join(under, '.spillway-redis-'))
  const port = await freePort()
  const all = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder, ...args]
  const server = spawn('redis-server', all, { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(server, 'exit')
  await listening(server)
  return {
    port,
    async stop() {
      server.kill()
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function findOrInstall() {
  try {
    await run('redis-server', ['--version'])
  } catch {
    await run('apt-get', ['update', '-qq'], { timeout: INSTALL_MS_MAX }).catch(explain)
    await run('apt-get', ['install', '-y', '-qq', 'redis-server'], { timeout: INSTALL_MS_MAX }).catch(explain)
  }
}

function explain(cause) {
  throw new Error("a redis-server is needed on the PATH, and installing Debian's did not work", { cause })
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return port
}

async function listening(server) {
  let log = ''
  for await (const chunk of server.stdout.iterator({ destroyOnReturn: false })) {
    log += chunk
    if (log.includes('Ready to accept connections')) break
  }
  if (!log.includes('Ready to accept connections')) throw new Error(`redis-server did not start: ${log}`)
  // What it says later is read by nobody, and must not stop it.
  server.stdout.resume()
}

module.exports = { startRedis }
