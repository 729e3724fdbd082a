'use strict'
const assert = require('node:assert/strict')
const { existsSync, readdirSync, readFileSync } = require('node:fs')
const { join } = require('node:path')
const { describe, it } = require('node:test')

const read = (path) => readFileSync(join(__dirname, '../..', path), 'utf8')
const manifest = JSON.parse(read('package.json'))

/** Where the files of each entry point are. */
const FOLDERS = {
  '.': '.',
  './sdk': './lib/adapters/sdk',
  './axios': './lib/adapters/axios',
  './fetch': './lib/adapters/fetch',
  './otel': './lib/otel',
  './dashboard': './lib/dashboard',
}

describe('package.json', () => {
  it('has the version of the crates and of the change log', () => {
    const [, version] = read('Cargo.toml').match(/\[workspace\.package\]\nversion = "(.+)"/)
    assert.equal(manifest.version, version)
    assert.ok(read('CHANGELOG.md').includes(`## [${version}]`))
  })

  it('has the packages of the platforms in one scope', () => {
    assert.equal(manifest.napi.packageName, '@spillway/addon')
  })

  it('names the platforms that the workflow builds, and that licenses are checked for', () => {
    const built = [...read('.github/workflows/build.yml').matchAll(/^ +- target: (\S+)$/gm)].map(([, target]) => target)
    assert.deepEqual(built.sort(), [...manifest.napi.targets].sort())
    for (const target of manifest.napi.targets) assert.ok(read('deny.toml').includes(`"${target}"`), target)
  })

  it('has no script that CONTRIBUTING.md leaves out', () => {
    const text = read('CONTRIBUTING.md')
    for (const name of Object.keys(manifest.scripts)) {
      const command = ['start', 'test'].includes(name) ? `npm ${name}` : `npm run ${name}`
      assert.match(text, new RegExp(`\\x60(?:\\w+=\\S+ )*${command}[ \\x60]`), command)
    }
  })

  it('names the Node that it needs in one way', () => {
    const [, oldest] = manifest.engines.node.match(/^>=(\d+\.\d+)$/)
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a piece of code
    assert.ok(read('lib/load.js').includes("Node ${engines.node.replace('>=', '')} or newer"))
    assert.ok(read('lib/cli/usage.js').includes(`Node ${oldest} or newer`))
    assert.ok(read('.ci/run').includes(`OLDEST_NODE=${oldest}.0`))
  })

  it('gives every entry point types of its own kind of module', () => {
    for (const [path, conditions] of Object.entries(manifest.exports).filter(([path]) => path !== './package.json')) {
      const folder = FOLDERS[path]
      assert.deepEqual(conditions, {
        import: { types: `${folder}/index.d.mts`, default: `${folder}/index.mjs` },
        require: { types: `${folder}/index.d.ts`, default: `${folder}/index.js` },
      })
      // TypeScript's older resolution reads this instead of the exports.
      if (path !== '.') assert.deepEqual(manifest.typesVersions['*'][path.slice(2)], [`${folder}/index.d.ts`])
    }
    assert.deepEqual(Object.keys(manifest.exports), [...Object.keys(FOLDERS), './package.json'])
    assert.equal(Object.keys(manifest.typesVersions['*']).length, Object.keys(FOLDERS).length - 1)
  })

  it('needs no package that it adapts to', () => {
    const peers = Object.keys(manifest.peerDependencies)
    assert.deepEqual(Object.keys(manifest.peerDependenciesMeta), peers)
    for (const { optional } of Object.values(manifest.peerDependenciesMeta)) assert.equal(optional, true)
  })

  it('depends on nothing at run time, and pins what it is built with', () => {
    assert.equal(manifest.dependencies, undefined)
    for (const range of Object.values({ ...manifest.devDependencies, ...manifest.overrides })) {
      assert.match(range, /^(npm:[\w@/-]+@)?\d+\.\d+\.\d+$/)
    }
  })
})

describe('the workflows', () => {
  const folder = join(__dirname, '../../.github/workflows')
  const jobs = readdirSync(folder).flatMap((file) => {
    const [, ...texts] = readFileSync(join(folder, file), 'utf8')
      .split(/^jobs:$/m)[1]
      .split(/^ {2}(?=[\w-]+:$)/m)
    return texts.map((text) => ({ name: `${file}: ${text.split(':', 1)[0]}`, text }))
  })

  it('use actions by the SHA of a commit, with the version beside it', () => {
    for (const { name, text } of jobs) {
      for (const [, action] of text.matchAll(/uses: (.+)$/gm)) {
        assert.match(action, /^(\.\/\.github\/workflows\/\w+\.yml|[\w-]+\/[\w-]+@[0-9a-f]{40} # (v\d+\.\d+\.\d+|stable|1\.88))$/, name)
      }
    }
  })

  it('install what is locked, and run no scripts of packages', () => {
    for (const { name, text } of jobs) {
      for (const [command] of text.matchAll(/npm (ci|install)\b.*/g)) {
        if (command === 'npm install --global npm@11') continue
        assert.match(command, /^npm ci --ignore-scripts/, name)
      }
      for (const [command] of text.matchAll(/cargo (install|fetch|check)\b.*/g)) assert.match(command, /--locked/, name)
      assert.doesNotMatch(text, /npx (?!--no-install)/, name)
    }
  })

  it('have no long-lived secret, and run nothing of a registry in the job that may publish', () => {
    const publishing = jobs.filter(({ text }) => text.includes('id-token: write'))
    assert.deepEqual(
      publishing.map(({ name }) => name),
      ['release.yml: publish'],
    )
    for (const { name, text } of jobs) assert.doesNotMatch(text, /secrets\.|NPM_TOKEN|_authToken/, name)
    assert.doesNotMatch(publishing[0].text, /npm ci|npm install|npm run|npx|checkout|cargo/)
    assert.match(publishing[0].text, /npm publish .*--ignore-scripts.*--provenance/)
  })

  it('let tokens of no job do more than they must', () => {
    for (const file of readdirSync(folder)) {
      const [head] = readFileSync(join(folder, file), 'utf8').split(/^jobs:$/m)
      assert.match(head, /^permissions:\n {2}contents: read$/m, file)
    }
    for (const { name, text } of jobs) {
      if (name !== 'release.yml: publish') assert.doesNotMatch(text, /permissions:|: write/, name)
      for (const [step] of text.matchAll(/uses: actions\/checkout@.+(?:\n {8,}.+)*/g))
        assert.match(step, /persist-credentials: false/, name)
    }
  })

  it('publish by trust alone: an environment and the identity of the workflow', () => {
    const { text } = jobs.find(({ name }) => name === 'release.yml: publish')
    assert.match(text, /^ {4}environment: npm$/m)
    assert.deepEqual(
      [...text.matchAll(/^ {6}([\w-]+): (write|read)\b/gm)].map(([, scope, right]) => [scope, right]),
      [
        ['id-token', 'write'],
        ['attestations', 'write'],
        ['contents', 'read'],
      ],
    )
  })

  it('make an SBOM where they pack, and attest it for every package that they publish', () => {
    const { text: packing } = jobs.find(({ name }) => name === 'release.yml: pack')
    const { text: publishing } = jobs.find(({ name }) => name === 'release.yml: publish')
    const [, sbom] = packing.match(/mv sbom\.json (\S+)/)
    assert.match(packing, /cargo cyclonedx --format json --override-filename sbom$/m)
    assert.match(packing, /path: packages$/m)
    assert.match(publishing, new RegExp(`uses: actions/attest@.+\\n {8}with:\\n {10}subject-path: (.+)\\n {10}sbom-path: ${sbom}$`, 'm'))
    const [, attested] = publishing.match(/subject-path: packages\/(.+)/)
    assert.equal(attested, '*/*.tgz')
    const published = [...publishing.matchAll(/packages\/(\w+)\/\*\.tgz(?=[ ;])/g)].map(([, group]) => group)
    assert.deepEqual(published, ['platforms', 'root'])
    for (const group of published) assert.match(packing, new RegExp(`--pack-destination packages/${group}\\b`))
  })
})

describe('SECURITY.md', () => {
  const text = read('SECURITY.md')

  it('says how to report, who may do what, and how that is held', () => {
    const sections = text.split(/^## /m).slice(1)
    assert.deepEqual(
      sections.map((section) => section.split('\n', 1)[0]),
      ['Reporting a vulnerability', 'Threat model', 'How it is held'],
    )
    const [reporting, model, held] = sections
    assert.match(reporting, /privately[\s\S]*within [\w ]+days/)
    const rows = [...model.matchAll(/^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)].map(([, who]) => who)
    for (const who of ['end user', 'API host', 'login host', 'gateway', 'redirect', 'local user', 'backup', 'dependency']) {
      assert.ok(
        rows.some((row) => row.includes(who)),
        who,
      )
    }
    for (const claim of [/pinned to commits/, /locked/, /release workflow instead of a token/, /provenance/, /CycloneDX/, /fuzzed/]) {
      assert.match(held, claim)
    }
  })

  it('names pages that there are', () => {
    for (const [, page] of text.matchAll(/\b(docs\/[\w/.-]*\w)/g)) assert.ok(existsSync(join(__dirname, '../..', page)), page)
  })
})

describe('package-lock.json', () => {
  it('names no registry, so that it installs from any', () => {
    const { packages } = JSON.parse(read('package-lock.json'))
    assert.deepEqual(
      Object.keys(packages).filter((path) => packages[path].resolved),
      [],
    )
  })
})
