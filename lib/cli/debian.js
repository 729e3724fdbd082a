'use strict'

const { execFile } = require('node:child_process')
const { setTimeout: delay } = require('node:timers/promises')
const { promisify } = require('node:util')

const run = promisify(execFile)
const APT_MS_MAX = 180_000
/** `apt-get update` does not wait for the lock of another one. */
const LOCKED = /could not get lock|unable to lock/i
const LOCKED_TRIES_MAX = 90
const LOCKED_DELAY_MS = 2_000

/** One command of apt-get, after those of other processes; by sudo where this isn't root. */
async function apt(args, { cwd } = {}) {
  const command = ['apt-get', '-qq', '-o', 'DPkg::Lock::Timeout=180', ...args]
  if (process.getuid?.() !== 0) command.unshift('sudo', '--non-interactive')
  for (let tried = 1; ; tried++) {
    try {
      return await run(command[0], command.slice(1), { cwd, timeout: APT_MS_MAX })
    } catch (error) {
      if (tried === LOCKED_TRIES_MAX || !LOCKED.test(String(error.stderr))) throw error
      await delay(LOCKED_DELAY_MS)
    }
  }
}

/** Installs a package of Debian's, if this is a Debian and the user may. */
async function install(name) {
  await apt(['update'])
  await apt(['install', '-y', '--no-install-recommends', name])
}

module.exports = { apt, install }
