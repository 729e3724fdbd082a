'use strict'
// The package as its users get it: packed by npm, installed into an empty project, used from ESM, CommonJS and strict
// TypeScript. Consumers run on the Node that runs this test; npm and the napi CLI run on the one that is on the PATH,
// since they need a newer Node than spillway does.
const assert = require('node:assert/strict')
const { execFileSync, spawnSync } = require('node:child_process')
const {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { after, before, describe, it } = require('node:test')

const ROOT = join(__dirname, '../..')
const EXAMPLES = join(ROOT, 'examples')
const STEP_LIMIT_MS = 120_000
const ROOT_BYTES_MAX = 512 * 1024
/** Of an addon whose unpacking was interrupted: its header, and no more of its code than that. */
const CUT_BYTES = 64 * 1024
const ADDON_BYTES_MAX = 16 * 1024 * 1024

const ENTRY_POINTS = {
  index: '',
  sdk: 'lib/adapters/sdk/',
  axios: 'lib/adapters/axios/',
  fetch: 'lib/adapters/fetch/',
  otel: 'lib/otel/',
  dashboard: 'lib/dashboard/',
}
const LEGITIMATE = [
  /^(package\.json|README\.md|LICENSE|CHANGELOG\.md)$/,
  /^(((lib\/adapters\/(sdk|axios|fetch)|lib\/(otel|dashboard))\/)?index\.(js|mjs|d\.m?ts)|binding\.js)$/,
  /^(bin|lib)\/([\w-]+\/)*[\w-]+\.js$/,
  /^lib\/dashboard\/page\/([\w-]+\.(mjs|html|css|svg)|uplot\.LICENSE\.txt)$/,
  /^(types\/[\w-]+|lib\/adapters\/options)\.d\.ts$/,
  /^examples\/[\w-]+\.(mjs|cjs|ts|jsonl)$/,
]
const REQUIRED = [
  'package.json',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  'binding.js',
  ...Object.values(ENTRY_POINTS).flatMap((folder) => ['js', 'mjs', 'd.ts', 'd.mts'].map((suffix) => `${folder}index.${suffix}`)),
  'bin/spillway.js',
  'lib/load.js',
  'lib/dashboard/page/index.html',
  'lib/dashboard/page/uplot.js',
  'lib/dashboard/page/uplot.LICENSE.txt',
  'examples/webchat-peak.jsonl',
]
const INSTALL_SCRIPTS = ['preinstall', 'install', 'postinstall', 'prepare', 'prepublish', 'preprepare', 'postprepare']

function run(command, args, cwd) {
  const env = Object.fromEntries(
    // What an outer `npm run` says about its own project must not reach the npm of this test.
    Object.entries(process.env).filter(([name]) => !/^(npm_(package|lifecycle|config_local_prefix)|INIT_CWD|NODE_TEST_CONTEXT)/.test(name)),
  )
  try {
    return execFileSync(command, args, {
      cwd,
      env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: STEP_LIMIT_MS,
      shell: process.platform === 'win32' && command === 'npm',
    })
  } catch (error) {
    assert.fail(`${command} ${args.join(' ')}: ${error.message}\n${error.stdout}\n${error.stderr}`)
  }
}

const readJson = (...path) => JSON.parse(readFileSync(join(...path), 'utf8'))
const runNode = (args, cwd) => run(process.execPath, args, cwd)

describe('the package', () => {
  let scratch
  let stage
  let consumer
  let packed
  let addon

  /** The steps of the release workflow, for this platform alone. */
  function assemble() {
    const manifest = readJson(ROOT, 'package.json')
    const addons = readdirSync(ROOT).filter((name) => /^spillway\..*\.node$/.test(name))
    assert.ok(addons.length > 0 && existsSync(join(ROOT, 'binding.js')), 'build the addon first: npm run build:dev')

    mkdirSync(stage)
    const entries = [...manifest.files, 'README.md', 'LICENSE', ...addons]
    for (const entry of entries.filter((name) => existsSync(join(ROOT, name)))) {
      cpSync(join(ROOT, entry), join(stage, entry), { recursive: true })
    }
    const suffixes = addons.map((name) => name.split('.')[1])
    const targets = manifest.napi.targets.filter((triple) => suffixes.includes(platformOf(triple)))
    assert.equal(targets.length, addons.length, `a target for each of ${addons}`)
    writeFileSync(join(stage, 'package.json'), JSON.stringify({ ...manifest, napi: { ...manifest.napi, targets } }))
    const napi = join(ROOT, 'node_modules/@napi-rs/cli/dist/cli.js')
    run('node', [napi, 'create-npm-dirs'], stage)
    run('node', [napi, 'artifacts', '--output-dir', '.'], stage)
    run('node', [join(ROOT, 'scripts/licenses.mjs'), ...suffixes.map((suffix) => join(stage, 'npm', suffix))], ROOT)
    run('node', [napi, 'pre-publish', '--tag-style', 'npm', '--no-gh-release', '--skip-optional-publish'], stage)
    return suffixes
  }

  function pack(folder) {
    const [summary] = JSON.parse(run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', scratch], folder))
    return { ...summary, path: join(scratch, summary.filename), paths: summary.files.map((file) => file.path) }
  }

  before(() => {
    scratch = mkdtempSync(join(tmpdir(), 'spillway-package-'))
    stage = join(scratch, 'stage')
    consumer = join(scratch, 'consumer')
    const suffixes = assemble()
    packed = pack(stage)
    const addons = suffixes.map((suffix) => pack(join(stage, 'npm', suffix)))
    addon = addons[0]

    mkdirSync(consumer)
    writeFileSync(join(consumer, 'package.json'), '{ "name": "consumer", "private": true }')
    const tarballs = [packed, ...addons].map(({ path }) => path)
    run('npm', ['install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts', ...tarballs], consumer)
    // The consumer has TypeScript and Node's types, as any TypeScript project on Node; nothing else of ours.
    symlinkSync(join(ROOT, 'node_modules/@types'), join(consumer, 'node_modules/@types'), 'junction')
    for (const name of ['quick-start.mjs', 'quick-start.cjs', 'typescript.ts']) {
      cpSync(join(EXAMPLES, name), join(consumer, name))
    }
    cpSync(join(EXAMPLES, 'typescript.ts'), join(consumer, 'typescript-esm.mts'))
  })

  after(() => rmSync(scratch, { recursive: true, force: true }))

  it('has what it needs and no source, test or build product besides', () => {
    for (const path of REQUIRED) assert.ok(packed.paths.includes(path), `missing: ${path}`)
    const junk = packed.paths.filter((path) => !LEGITIMATE.some((pattern) => pattern.test(path)))
    assert.deepEqual(junk, [])
  })

  it('carries the licenses of what the addon is made of', () => {
    assert.ok(addon.paths.includes('LICENSE'), addon.paths.join())
    const text = readFileSync(join(consumer, 'node_modules', addon.name, 'LICENSE'), 'utf8')
    assert.ok(text.startsWith(readFileSync(join(ROOT, 'LICENSE'), 'utf8').trim()))
    for (const crate of ['tokio', 'rustls', 'ring', 'hyper', 'libsqlite3-sys']) assert.match(text, new RegExp(`^${crate} \\d`, 'm'))
    assert.doesNotMatch(text, /^(tempfile|proptest|spillway-core) /m, 'what is not in it')
  })

  it('is small', () => {
    assert.ok(packed.size <= ROOT_BYTES_MAX, `${packed.size} bytes packed`)
    assert.ok(addon.size <= ADDON_BYTES_MAX, `${addon.size} bytes packed`)
  })

  it('runs no script when it is installed, and needs nothing but the addon of the platform', () => {
    const manifest = readJson(consumer, 'node_modules/spillway/package.json')
    for (const name of INSTALL_SCRIPTS) assert.equal(manifest.scripts[name], undefined, name)
    assert.equal(manifest.dependencies, undefined)
    assert.deepEqual(manifest.optionalDependencies, { [addon.name]: manifest.version })
    for (const { hasInstallScript } of Object.values(readJson(consumer, 'package-lock.json').packages)) {
      assert.equal(hasInstallScript, undefined)
    }
  })

  it('leaves the addon to a package of its own, for its platform alone', () => {
    const manifest = readJson(consumer, 'node_modules', addon.name, 'package.json')
    assert.deepEqual(manifest.os, [process.platform])
    assert.deepEqual(manifest.cpu, [process.arch])
    assert.deepEqual(
      addon.paths.filter((path) => path.endsWith('.node')),
      [manifest.main],
    )
    assert.equal(manifest.scripts, undefined)
  })

  it('works from ESM', () => {
    const output = runNode(['quick-start.mjs'], consumer)
    assert.match(output, /60 receipts, the first: status 20\d after 1 attempt/)
    assert.match(output, /server: 60 accepted, 0 refused, 0 out of order/)
  })

  it('works from CommonJS', () => {
    const output = runNode(['quick-start.cjs'], consumer)
    assert.match(output, /given up: bad news \(rejected, status 400\)/)
    assert.match(output, /server: 3 delivered/)
  })

  it('gives the same objects to both', () => {
    const script = `
      import * as esm from 'spillway'
      import { createRequire } from 'node:module'
      const cjs = createRequire(import.meta.url)('spillway')
      const names = Object.keys(esm).filter((name) => name !== 'default' && name !== 'module.exports')
      console.log(JSON.stringify([names.filter((name) => esm[name] !== cjs[name]), Object.keys(cjs).length - names.length]))`
    writeFileSync(join(consumer, 'both.mjs'), script)
    assert.deepEqual(JSON.parse(runNode(['both.mjs'], consumer)), [[], 0])
  })

  it('compiles as strict TypeScript, as a module and as CommonJS, and the result runs', () => {
    const compilerOptions = {
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: false,
      target: 'es2022',
      module: 'node16',
      moduleResolution: 'node16',
      types: ['node'],
      outDir: 'out',
    }
    const files = ['typescript.ts', 'typescript-esm.mts']
    writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
    runNode([join(ROOT, 'node_modules/typescript/bin/tsc'), '--project', consumer], consumer)
    assert.match(runNode(['out/typescript.js'], consumer), /5 of 5 delivered/)
    assert.match(runNode(['out/typescript-esm.mjs'], consumer), /5 of 5 delivered/)
  })

  it('has types that say what runs, for every module resolution', () => {
    const tool = (name, ...path) => [join(ROOT, 'node_modules', name, ...path)]
    run('node', [...tool('publint', 'src/cli.js'), '--strict', packed.path], consumer)
    run('node', [...tool('@arethetypeswrong/cli', 'dist/index.js'), '--no-emoji', packed.path], consumer)
  })

  it('refuses a default import in the types, as at run time', () => {
    const names = Object.keys(ENTRY_POINTS).map((name) => (name === 'index' ? 'spillway' : `spillway/${name}`))
    for (const name of names) {
      const file = `default-${name.replace('/', '-')}.mts`
      writeFileSync(join(consumer, file), `import it from '${name}'\nconsole.log(it)\n`)
      const errors = typeErrors(file, ['--module', 'nodenext', '--skipLibCheck'])
      assert.match(errors, /TS1192: Module .* has no default export/, name)
      writeFileSync(join(consumer, 'default.mjs'), `import it from '${name}'\nconsole.log(it)\n`)
      const { status, stderr } = spawnSync(process.execPath, ['default.mjs'], { cwd: consumer, encoding: 'utf8' })
      assert.equal(status, 1)
      assert.match(stderr, /does not provide an export named 'default'|Cannot find package 'axios'/, name)
    }
  })

  function typeErrors(file, options) {
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
    const args = [tsc, '--noEmit', '--target', 'es2022', '--types', 'node', '--ignoreConfig', ...options, file]
    return spawnSync(process.execPath, args, { cwd: consumer, encoding: 'utf8' }).stdout
  }

  it('rejects import("spillway/otel") without its peer, and the process lives', () => {
    const script = `
      const caught = await import('spillway/otel').catch((error) => error.code)
      setTimeout(() => console.log(caught), 50)`
    writeFileSync(join(consumer, 'otel.mjs'), script)
    assert.equal(runNode(['otel.mjs'], consumer).trim(), 'PEER_MISSING')
  })

  it('names its addon where that was cut when it was unpacked, instead of ending the process', {
    skip: process.platform !== 'linux',
  }, () => {
    const file = join(consumer, 'node_modules', addon.name, readJson(consumer, 'node_modules', addon.name, 'package.json').main)
    const whole = `${file}.whole`
    renameSync(file, whole)
    try {
      writeFileSync(file, readFileSync(whole).subarray(0, CUT_BYTES))
      const told = runNode(['-e', "require('spillway').Simulator.start().catch(({ message }) => console.log(message))"], consumer)
      assert.ok(told.includes(`${file} is cut off`), told)
      assert.doesNotMatch(told, /npm install/)
    } finally {
      renameSync(whole, file)
    }
  })

  it('brings its command', () => {
    const command = join(consumer, 'node_modules/spillway/bin/spillway.js')
    const { version } = readJson(ROOT, 'package.json')
    assert.ok(runNode([command, '--version'], consumer).includes(version))
    assert.ok(existsSync(join(consumer, 'node_modules/.bin', process.platform === 'win32' ? 'spillway.cmd' : 'spillway')))
  })

  it('has its adapters, and needs none of what they adapt to before they are used', () => {
    const script = `
      const { createAdapter } = require('spillway/axios')
      const { createFetch } = require('spillway/fetch')
      const { useSpillway } = require('spillway/sdk')
      ;(async () => {
        const { Simulator, Sender } = require('spillway')
        const simulator = await Simulator.start()
        const sender = await Sender.open({
          organization: 'pack', apiUrl: simulator.url, loginUrl: simulator.url, credentials: { clientId: 'c', clientSecret: 's' },
          route: 'messaging', store: 'memory', rateLimit: { requests: 10, perMs: 1_000 },
        })
        const { name } = await (await createFetch(sender)(simulator.url + '/api/v2/users/me')).json()
        const refusals = [() => createAdapter(sender), () => useSpillway({}, sender)].map((use) => {
          try { use() } catch (error) { return error.name }
        })
        const esm = await Promise.all(['spillway/fetch', 'spillway/sdk'].map(async (id) => Object.keys(await import(id)).length))
        await sender.close()
        await simulator.close()
        console.log(JSON.stringify([name, refusals, esm]))
      })()`
    const output = runNode(['-e', script], consumer)
    assert.deepEqual(JSON.parse(output), ['Spillway Simulator', ['ConfigError', 'ConfigError'], [1, 2]])
  })

  it('exports nothing but its face and package.json', () => {
    const script = `
      const attempts = ['spillway/package.json', 'spillway/lib/load.js', 'spillway/binding.js', 'spillway/index.js']
      console.log(JSON.stringify(attempts.map((id) => { try { require(id); return 'ok' } catch (error) { return error.code } })))`
    const hidden = 'ERR_PACKAGE_PATH_NOT_EXPORTED'
    assert.deepEqual(JSON.parse(runNode(['-e', script], consumer)), ['ok', hidden, hidden, hidden])
  })
})

/** The suffix by which the napi CLI names a target: `linux-x64-gnu`. */
function platformOf(triple) {
  const [cpu, , system, abi] = triple.split('-')
  const platform = { windows: 'win32' }[system] ?? system
  return [platform, { x86_64: 'x64', aarch64: 'arm64' }[cpu], ...(abi ? [abi] : [])].join('-')
}
