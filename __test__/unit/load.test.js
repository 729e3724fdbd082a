'use strict'
const assert = require('node:assert/strict')
const { execFileSync, spawnSync } = require('node:child_process')
const { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { dirname, join } = require('node:path')
const { after, describe, it } = require('node:test')

const ROOT = join(__dirname, '../..')
const folders = []

/** What lib/load.js gives in a package whose binding.js is `binding`, on a machine that `pretend` changes. */
function load({ binding, pretend = '', files = {}, as = {} }) {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-load-'))
  folders.push(folder)
  mkdirSync(join(folder, 'lib'))
  for (const name of ['load.js', 'load-problem.js', 'addon-files.js', 'copies.js', 'shared.js', 'errors.js']) {
    copyFileSync(join(ROOT, 'lib', name), join(folder, 'lib', name))
  }
  for (const [name, { content, mode = 0o644, isPipe = false }] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    if (isPipe) execFileSync('mkfifo', [join(folder, name)])
    else writeFileSync(join(folder, name), content, { mode })
  }
  chmodSync(folder, 0o755)
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
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', ...as })
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout)
}

/** A binding that has met these errors, as the generated loader tells of them. */
const meets = (...messages) => `
  const chain = ${JSON.stringify(messages)}.reduce((cause, message) => Object.assign(new Error(message), { cause }), null)
  throw Object.assign(new Error('Cannot find native binding. npm has a bug'), { cause: chain })`
const NOT_THERE = "Cannot find module '@spillway/addon-linux-x64-gnu'\\nRequire stack:\\n- /app/binding.js"

/** The header of an ELF file of this processor, whose table of sections ends at 10,000 bytes. */
function elfHeader({ machine = { x64: 62, arm64: 183 }[process.arch] } = {}) {
  const header = Buffer.alloc(64)
  header.write('\x7fELF\x02\x01\x01', 'latin1')
  header.writeUInt16LE(machine, 18)
  header.writeBigUInt64LE(9_360n, 40)
  header.writeUInt16LE(64, 58)
  header.writeUInt16LE(10, 60)
  return header
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
          'win32 x64; Node 18.3 or newer.',
      ),
      message,
    )
    assert.ok(message.includes('npm ci && npm run build'))
    assert.ok(!message.includes('--omit=optional'), 'installing again would not help')
  })

  it('says to install again where the platform is supported', () => {
    for (const [platform, arch] of [
      ['darwin', 'arm64'],
      ['darwin', 'x64'],
      ['win32', 'x64'],
    ]) {
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

  it('tells what the system says of a file that is there, and does not send anybody to install it again', () => {
    const so = '/app/spillway.linux-x64-gnu.node'
    const problems = [
      [`${so}: cannot open shared object file: Permission denied`, /readable/],
      [`${so}: failed to map segment from shared object`, /noexec/],
      [`${so}: failed to map segment from shared object: Operation not permitted`, /noexec/],
      [`${so}: file too short`, /cut/],
      [`${so}: invalid ELF header`, /cut/],
      [`${so}: wrong ELF class: ELFCLASS32`, /another processor/],
      [
        `dlopen(${so}, 0x0001): tried: '${so}' (mach-o file, but is an incompatible architecture (have 'x86_64', need 'arm64'))`,
        /another processor/,
      ],
      [`dlopen(${so}, 0x0001): tried: '${so}' (code signature invalid)`, /security policy/],
      [`\\\\?\\${so} is not a valid Win32 application.`, /another processor/],
      [`/lib/libc.so.6: version \`GLIBC_2.34' not found (required by ${so})`, /too old/],
      [`libc.musl-x86_64.so.1: cannot open shared object file: No such file or directory`, /built for musl/],
      [`Error loading shared library ld-linux-x86-64.so.2: No such file or directory (needed by ${so})`, /built for glibc/],
      ['something that nobody has heard of', /something/],
    ]
    const met = problems.map(([problem, advised]) => [[problem, NOT_THERE], problem, advised])
    // Wherever it is among the others.
    for (const others of [[NOT_THERE], []]) met.push([[...others, problems[0][0]], ...problems[0]])
    for (const [messages, problem, advised] of met) {
      const { code, message, cause } = load({
        binding: meets(...messages),
        pretend: machine('linux', 'x64') + libc({ glibcVersionRuntime: '2.36' }),
      })
      assert.equal(code, 'UNSUPPORTED_PLATFORM')
      assert.ok(message.includes(problem), message)
      assert.match(message, advised)
      assert.doesNotMatch(message, /npm install|--omit|Cannot find module/, message)
      assert.match(cause, /Cannot find native binding/)
    }
  })

  it('gives a shortage, which may pass, the code of shortages', () => {
    const so = '/app/spillway.linux-x64-gnu.node'
    for (const [problem, advised] of [
      [`${so}: cannot open shared object file: Too many open files`, /ulimit -n/],
      ["EMFILE: too many open files, open '/app/a.node'", /ulimit -n/],
      ["ENFILE: file table overflow, open '/app/a.node'", /ulimit -n/],
      [`${so}: failed to map segment from shared object: Cannot allocate memory`, /more memory/],
      ['ENOMEM: not enough memory, read', /more memory/],
    ]) {
      for (const others of [[NOT_THERE], []]) {
        const { code, message } = load({ binding: meets(...others, problem) })
        assert.equal(code, 'RESOURCES_EXHAUSTED', message)
        assert.ok(message.includes(problem), message)
        assert.match(message, advised)
        assert.doesNotMatch(message, /npm install|noexec/)
      }
    }
  })

  it('sends to install again where only the file is missing', () => {
    const { message } = load({
      binding: meets(NOT_THERE, NOT_THERE),
      pretend: machine('linux', 'x64') + libc({ glibcVersionRuntime: '2.36' }),
    })
    assert.match(message, /without --omit=optional/)
    assert.doesNotMatch(message, /Its file is there/)
  })

  describe('of a file that it finds', { skip: process.platform !== 'linux' }, () => {
    const { glibcVersionRuntime } = process.report.getReport().header
    const suffix = `linux-${process.arch}-${glibcVersionRuntime ? 'gnu' : 'musl'}`
    const name = `spillway.${suffix}.node`
    // What is cut would end the process when it is loaded: nothing must come so far.
    const fatal = 'process.kill(process.pid, "SIGBUS")'

    it('says that it is cut off, before it is loaded', () => {
      const header = elfHeader()
      for (const [content, problem] of [
        [Buffer.alloc(0), 'is empty'],
        [header.subarray(0, 40), 'it has 40 of 64 bytes'],
        [header, 'it has 64 of 10000 bytes'],
        [Buffer.concat([header, Buffer.alloc(9_935)]), 'it has 9999 of 10000 bytes'],
        ['version https://git-lfs.github.com/spec/v1', 'is no ELF file'],
      ]) {
        const { message } = load({ binding: fatal, files: { [name]: { content } } })
        assert.ok(message.includes(`${name} `) && message.includes(problem), message)
        assert.match(message, /put a whole one in its place/)
        assert.doesNotMatch(message, /npm install/)
      }
      const whole = Buffer.concat([header, Buffer.alloc(9_936)])
      assert.equal(load({ binding: 'exports.works = true', files: { [name]: { content: whole } } }).exports.works, true)
    })

    it('looks at that of the package of the platform, as users have it', () => {
      const folder = `node_modules/@spillway/addon-${suffix}`
      const files = {
        [`${folder}/package.json`]: { content: JSON.stringify({ name: `@spillway/addon-${suffix}`, main: name }) },
        [`${folder}/${name}`]: { content: elfHeader() },
      }
      const { message } = load({ binding: fatal, files })
      assert.ok(message.includes(`${folder}/${name} is cut off`), message)
    })

    it('says that it is for another processor, which dlopen does not', () => {
      const content = Buffer.concat([elfHeader({ machine: 21 }), Buffer.alloc(9_936)])
      const { message } = load({ binding: fatal, files: { [name]: { content } } })
      assert.match(message, /built for processor 21, and this Node\.js for/)
      assert.match(message, /another processor/)
    })

    it('does not wait for the writer of a pipe', () => {
      const { message } = load({ binding: fatal, files: { [name]: { isPipe: true } }, as: { timeout: 30_000 } })
      assert.match(message, /is no file/)
    })

    it('says that it may not be read', () => {
      // Root reads everything. It becomes another user in the script: its Node may lie where nobody else can start it.
      const pretend = process.getuid() === 0 ? 'process.setgid(54_321); process.setuid(54_321)' : ''
      const { message } = load({ binding: fatal, pretend, files: { [name]: { content: elfHeader(), mode: 0o000 } } })
      assert.match(message, /can't be read: EACCES/)
      assert.match(message, /readable for this user/)
    })
  })

  it('explains a checkout that is not built yet', () => {
    const { code, message, cause } = load({ binding: undefined })
    assert.equal(code, 'UNSUPPORTED_PLATFORM')
    assert.ok(message.includes('npm ci && npm run build'), message)
    assert.match(cause, /Cannot find module '\.\.\/binding\.js'/)
  })
})

describe('NAPI_RS_NATIVE_LIBRARY_PATH', () => {
  it('is refused where it names no addon: its file would be run', () => {
    for (const path of ['/tmp/evil.cjs', '/tmp/addon.node.js', '/tmp/folder']) {
      const pretend = `process.env.NAPI_RS_NATIVE_LIBRARY_PATH = ${JSON.stringify(path)}`
      const told = load({ binding: 'throw new Error("it was run")', pretend })
      assert.equal(told.code, 'CONFIG_INVALID')
      assert.equal(told.message, 'NAPI_RS_NATIVE_LIBRARY_PATH must be the path of an addon, whose name ends in .node')
    }
  })

  it('may name another addon', () => {
    const pretend = "process.env.NAPI_RS_NATIVE_LIBRARY_PATH = '/opt/spillway.linux-x64-gnu.node'"
    assert.deepEqual(load({ binding: 'module.exports = { a: 1 }', pretend }), { exports: { a: 1 }, again: true })
  })
})
