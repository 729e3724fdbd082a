'use strict'
const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const { describe, it } = require('node:test')

const { baseUrls, DOMAINS } = require('../../lib/regions.js')

describe('regions', () => {
  it('are those of the core', () => {
    const source = readFileSync(join(__dirname, '../../crates/core/src/settings/region.rs'), 'utf8')
    const pairs = [...source.matchAll(/\("([a-z0-9-]+)", "([a-z0-9.-]+)"\)/g)].map(([, region, domain]) => [region, domain])
    assert.equal(pairs.length, 18)
    assert.deepEqual(Object.entries(DOMAINS), pairs)
  })

  it('give the hosts, unless URLs are given', () => {
    assert.deepEqual(baseUrls({ region: 'eu-west-1' }), { apiUrl: 'https://api.mypurecloud.ie', loginUrl: 'https://login.mypurecloud.ie' })
    assert.deepEqual(baseUrls({ region: 'eu-west-1', apiUrl: 'http://H:80/a/' }), {
      apiUrl: 'http://h/a',
      loginUrl: 'https://login.mypurecloud.ie',
    })
    assert.deepEqual(baseUrls({ apiUrl: 'https://gateway' }), { apiUrl: 'https://gateway', loginUrl: 'https://gateway' })
  })
})
