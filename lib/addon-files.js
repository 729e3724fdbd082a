'use strict'

// Where the addon of this copy of the package may be: beside it, as a build leaves it, or in the package of its platform.

const { readFileSync } = require('node:fs')
const { dirname, join } = require('node:path')

const { napi } = require('../package.json')

const ROOT = join(__dirname, '..')

/** What follows the platform and the architecture in a name: on Linux the library of C. */
const ABIS = { linux: () => (isMusl() ? '-musl' : '-gnu'), darwin: () => '', win32: () => '-msvc' }

/** Absolute paths, in the order in which they are tried. There may be nothing at any of them. */
function addonFiles() {
  const abi = ABIS[process.platform]
  if (abi === undefined) return []
  const suffix = `${process.platform}-${process.arch}${abi()}`
  const name = `${napi.binaryName}.${suffix}.node`
  const folder = folderOf(`${napi.packageName}-${suffix}`)
  return [join(ROOT, name), ...(folder === null ? [] : [join(folder, name)])]
}

/** As the generated loader finds it out. */
function isMusl() {
  try {
    return readFileSync('/usr/bin/ldd', 'utf8').includes('musl')
  } catch {
    return !process.report.getReport().header.glibcVersionRuntime
  }
}

function folderOf(name) {
  try {
    return dirname(require.resolve(`${name}/package.json`))
  } catch {
    return null
  }
}

module.exports = { addonFiles, ROOT }
