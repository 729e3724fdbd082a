'use strict'

// Several copies of the package in one process, as two dependencies may bring them. Each would have an engine, and spend the
// whole quota. So the first addon that is loaded serves all copies of its version, and copies of another one are refused.

const { readFileSync, realpathSync } = require('node:fs')

const { version } = require('../package.json')
const { addonFiles, ROOT } = require('./addon-files.js')
const { SpillwayError } = require('./errors.js')
const { shared } = require('./shared.js')

/** The addon of this process: one that another copy or thread has loaded, else what `load` gives. */
function shareAddon(load) {
  // Its own for each thread, with the addon that its first copy has loaded.
  const thread = shared('addon', () => ({ native: null, version: null, root: null }))
  if (thread.native === null) Object.assign(thread, { native: mappedAddon() ?? load(), version, root: ROOT })
  if (thread.version !== version) throw conflict(thread.version, thread.root)
  return thread.native
}

/** The addon that another copy has loaded in another thread; null if none has, or where the system does not tell. */
function mappedAddon() {
  const path = foreignPath()
  if (path === null) return null
  let native
  try {
    native = require(path)
  } catch (cause) {
    throw new SpillwayError(
      `spillway ${version} can't be loaded from ${ROOT}: this process runs ${path} already, which can't be loaded again. It was ` +
        'removed or replaced since: restart the process.',
      { code: 'COPY_CONFLICT', cause },
    )
  }
  const other = native.coreVersion()
  if (other !== version) throw conflict(other, path)
  return native
}

/** Where the addon lies that the process has mapped, if it is not this copy's own. */
function foreignPath() {
  if (process.platform !== 'linux') return null
  let maps
  try {
    maps = readFileSync('/proc/self/maps', 'latin1')
  } catch {
    return null
  }
  // The last column, behind address, mode, offset, device and inode.
  const mapped = new Set(
    [...maps.matchAll(/^\S+ \S+ \S+ \S+ \d+ +(\/.*\/spillway\.[\w-]+\.node(?: \(deleted\))?)$/gm)].map(([, path]) => decode(path)),
  )
  if (mapped.size === 0) return null
  const own = new Set(addonFiles().map(real))
  return [...mapped].every((path) => own.has(path)) ? null : [...mapped].find((path) => !own.has(path))
}

// Read as Latin-1, since a path need not be UTF-8; the system writes a line break in one as \012.
function decode(path) {
  return Buffer.from(path, 'latin1').toString('utf8').replaceAll('\\012', '\n')
}

function real(path) {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

function conflict(other, where) {
  return new SpillwayError(
    `spillway ${version} (${ROOT}) can't be used in this process, which runs spillway ${other} (${where}) already: each would ` +
      'spend the whole quota. Let all packages depend on one version: see npm ls spillway, npm dedupe, and overrides in package.json',
    { code: 'COPY_CONFLICT' },
  )
}

module.exports = { shareAddon }
