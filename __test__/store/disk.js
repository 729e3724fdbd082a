'use strict'

// A disk that hangs, or takes no more: a library that is compiled here and preloaded into a child process, since a file system that
// can be frozen takes root to make, and a mount that stays frozen after a failure.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const { join } = require('node:path')

const { directory, start } = require('./support.js')

const SOURCE = join(__dirname, 'children', 'disk.c')
const HAS_GLIBC = process.report?.getReport().header.glibcVersionRuntime !== undefined

/** Why no such disk can be made on this machine; null where it can. */
const missing = (() => {
  if (!HAS_GLIBC) return 'the preloaded library is written for glibc'
  const compiler = spawnSync('cc', ['--version'])
  return compiler.status === 0 ? null : 'there is no C compiler (cc)'
})()

/** A folder on such a disk, for a child of `children/`. The file `control` says how the disk is, in its first byte: see disk.c. */
function makeDisk(t) {
  const place = directory(t)
  const [library, control, folder] = ['disk.so', 'control', 'disk'].map((name) => join(place, name))
  const compiled = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, SOURCE, '-ldl'], { encoding: 'utf8' })
  if (compiled.status !== 0) throw new Error(`cc failed: ${compiled.stderr}`)
  fs.writeFileSync(control, '-')
  fs.mkdirSync(folder)
  const env = { ...process.env, LD_PRELOAD: library, SHIM_CONTROL: control, SHIM_FOLDER: folder }
  const run = (script, input) => start(script, { ...input, control }, env).ended
  return { folder, control, run }
}

module.exports = { makeDisk, missing }
