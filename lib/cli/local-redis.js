'use strict'

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const { mkdtempSync, rmSync } = require('node:fs')
const { createServer } = require('node:net')
const { tmpdir } = require('node:os')
const path = require('node:path')

const { install } = require('./debian.js')
const { UsageError } = require('./usage.js')

const PROGRAMS = ['redis-server', 'valkey-server']
/** Debian's. */
const PACKAGE = 'redis-server'
const PORTS_TRIED_MAX = 5

/**
 * A Redis or Valkey of this machine on a free port, without anything on the disk: `{ url, stop() }`. With `mayInstall`, Debian's is
 * installed if there is none.
 */
async function startLocalRedis({ mayInstall = false } = {}) {
  const found = (await startFound()) ?? (mayInstall ? await install(PACKAGE).then(startFound, refuse) : null)
  if (found !== null) return found
  throw new UsageError(
    `--hosts needs ${PROGRAMS.join(' or ')} on the PATH: install one (apt-get install ${PACKAGE}, or with --install-redis; brew install valkey), ` +
      'or give the URL of a Redis: --budget redis://HOST:PORT',
  )
}

function refuse(error) {
  const reason =
    String(error.stderr ?? '')
      .trim()
      .split('\n')
      .at(-1) || error.message
  throw new UsageError(`installing ${PACKAGE} with apt-get did not work (${reason}): install it, or ${PROGRAMS[1]}, by other means`)
}

/** One of the programs that are on the PATH, running; null if there is none. */
async function startFound() {
  const folder = mkdtempSync(path.join(tmpdir(), 'spillway-demo-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  for (const program of PROGRAMS) {
    for (let tried = 0; tried < PORTS_TRIED_MAX; tried++) {
      const port = await freePort()
      const server = spawn(program, ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--dir', folder], {
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      const ended = new Promise((resolve) => server.on('error', () => resolve('missing')).on('exit', () => resolve('ended')))
      const outcome = await Promise.race([ended, listening(server)])
      if (outcome === null) {
        const stop = async () => {
          server.kill()
          await ended
          remove()
        }
        return { url: `redis://127.0.0.1:${port}`, stop }
      }
      if (outcome === 'missing') break
    }
  }
  remove()
  return null
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return port
}

/** Null once it listens, else what it said instead. */
async function listening(server) {
  let log = ''
  for await (const chunk of server.stdout.iterator({ destroyOnReturn: false })) {
    log += chunk
    if (log.includes('Ready to accept connections')) break
  }
  // Nobody reads its later output, which must not block it.
  server.stdout.resume()
  return log.includes('Ready to accept connections') ? null : log
}

module.exports = { freePort, listening, startLocalRedis }
