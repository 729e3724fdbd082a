'use strict'
const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { after, describe, it } = require('node:test')

const ROOT = join(__dirname, '../..')
const folders = []

/** What lib/load.js gives in a package whose binding.js is `binding`, on a machine that `pretend` changes. */
function load({ binding, pretend = '' }) {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-load-'))
  folders.push(folder)
  mkdirSync(join(folder, 'lib'))
  for (const name of ['load.js', 'errors.js']) copyFileSync(join(ROOT, 'lib', name), join(folder, 'lib', name))
  copyFileSync(join(ROOT, 'package.json'), join(folder, 'package.json'))
  if (binding !== undefined) writeFileSync(join(folder, 'binding.js'), binding)
  const script = `
    ${pretend}
    const { native } = require(${JSON.stringify(join(folder, 'lib/load.js'))})
    const { SpillwayError } = require(${JSON.stringify(join(folder, 'lib/errors.js'))})
    try {
      console.log(JSON.stringify({ exports: native(), again: native() === native() }))
    } catch (error) {
      if (!(error instanceof SpillwayError)) throw error
      console.log(JSON.stringify({ code: error.code, message: error.message, cause: error.cause?.message }))
    }`
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout)
}

const machine = (platform, arch) => `
  Object.defineProperty(process, 'platform', { value: ${JSON.stringify(platform)} })
  Object.defineProperty(process, 'arch', { value: ${JSON.stringify(arch)} })`
const libc = (header) => `
  process.report.getReport = () => ({ header: ${JSON.stringify(header)} })`
const FAILS = "throw new Error('Cannot find native binding')"

describe('lib/load.js', () => {
  after(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })))

  it('gives what binding.js exports, always the same', () => {
    const loaded = load({ binding: "exports.coreVersion = '0.1.0'" })
    assert.deepEqual(loaded, { exports: { coreVersion: '0.1.0' }, again: true })
  })

  it('loads nothing before it is asked to', () => {
    const script = `
      const Module = require('node:module')
      const load = Module._load
      Module._load = (id, ...rest) => {
        if (/\\bbinding\\.js$/.test(id)) throw new Error('too early')
        return load(id, ...rest)
      }
      require(${JSON.stringify(ROOT)})`
    const { status, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
  })

  it('names an unsupported platform, Node, what is supported, and how to build', () => {
    const { code, message, cause } = load({ binding: FAILS, pretend: machine('aix', 'ppc64') })
    assert.equal(code, 'UNSUPPORTED_PLATFORM')
    assert.equal(cause, 'Cannot find native binding')
    assert.ok(message.includes(`could not load its native addon on aix ppc64 (Node ${process.version}).`), message)
    assert.ok(
      message.includes(
        'Supported: linux x64 glibc, linux arm64 glibc, linux x64 musl, linux arm64 musl, darwin x64, darwin arm64, ' +
          'win32 x64; Node 18 or newer.',
      ),
      message,
    )
    assert.ok(message.includes('npm ci && npm run build'))
    assert.ok(!message.includes('--omit=optional'), 'installing again would not help')
  })

  it('says to install again where the platform is supported', () => {
    for (const [platform, arch] of [['darwin', 'arm64'], ['darwin', 'x64'], ['win32', 'x64']]) {
      const { code, message } = load({ binding: FAILS, pretend: machine(platform, arch) })
      assert.equal(code, 'UNSUPPORTED_PLATFORM')
      assert.ok(message.includes(`on ${platform} ${arch} (Node`), message)
      assert.ok(message.includes('without --omit=optional'), message)
      assert.ok(message.includes('npm ci && npm run build'), message)
    }
  })

  it('tells glibc from musl', () => {
    const glibc = load({ binding: FAILS, pretend: machine('linux', 'x64') + libc({ glibcVersionRuntime: '2.36' }) })
    assert.ok(glibc.message.includes('on linux x64 glibc (Node'), glibc.message)
    const musl = load({ binding: FAILS, pretend: machine('linux', 'arm64') + libc({}) })
    assert.ok(musl.message.includes('on linux arm64 musl (Node'), musl.message)
    assert.ok(musl.message.includes('without --omit=optional'), musl.message)
  })

  it('explains a checkout that is not built yet', () => {
    const { code, message, cause } = load({ binding: undefined })
    assert.equal(code, 'UNSUPPORTED_PLATFORM')
    assert.ok(message.includes('npm ci && npm run build'), message)
    assert.match(cause, /Cannot find module '\.\.\/binding\.js'/)
  })
})
