'use strict'

const { mkdirSync, mkdtempSync, renameSync, rmSync, statSync } = require('node:fs')
const { homedir } = require('node:os')
const path = require('node:path')

/** Where `.ci/run` keeps what it fetches, too. */
const CACHE = path.join(process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache'), 'spillway-ci')

/**
 * The folder `name` of what tests fetch for themselves, filled by `fetch(folder)` unless an earlier run did. It is there whole or not
 * at all, also if several processes fetch it at once.
 */
async function cached(name, fetch) {
  const folder = path.join(CACHE, name)
  if (exists(folder)) return folder
  mkdirSync(CACHE, { recursive: true })
  const staging = mkdtempSync(path.join(CACHE, `.${name}-`))
  try {
    await fetch(staging)
    try {
      renameSync(staging, folder)
    } catch (error) {
      // Another process was faster.
      if (!exists(folder)) throw error
    }
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
  return folder
}

function exists(folder) {
  return statSync(folder, { throwIfNoEntry: false }) !== undefined
}

module.exports = { cached }
