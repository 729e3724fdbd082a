'use strict'
const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const { describe, it } = require('node:test')

const read = (path) => readFileSync(join(__dirname, '../..', path), 'utf8')
const manifest = JSON.parse(read('package.json'))

describe('package.json', () => {
  it('has the version of the crates and of the change log', () => {
    const [, version] = read('Cargo.toml').match(/\[workspace\.package\]\nversion = "(.+)"/)
    assert.equal(manifest.version, version)
    assert.ok(read('CHANGELOG.md').includes(`## [${version}]`))
  })

  it('names the platforms that the workflow builds, and that licences are checked for', () => {
    const built = [...read('.github/workflows/build.yml').matchAll(/^ +- target: (\S+)$/gm)].map(([, target]) => target)
    assert.deepEqual(built.sort(), [...manifest.napi.targets].sort())
    for (const target of manifest.napi.targets) assert.ok(read('deny.toml').includes(`"${target}"`), target)
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

describe('package-lock.json', () => {
  it('names no registry, so that it installs from any', () => {
    const { packages } = JSON.parse(read('package-lock.json'))
    assert.deepEqual(Object.keys(packages).filter((path) => packages[path].resolved), [])
  })
})
