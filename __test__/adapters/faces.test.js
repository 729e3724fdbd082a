'use strict'

// The adapters as their users get them, by name: the package refers to itself.

const assert = require('node:assert/strict')
const { describe, it } = require('node:test')

const FACES = {
  'spillway/sdk': ['SpillwayHttpClient', 'useSpillway'],
  'spillway/axios': ['createAdapter'],
  'spillway/fetch': ['createFetch'],
}

describe('the faces of the adapters', () => {
  for (const [name, exports] of Object.entries(FACES)) {
    it(`${name}: the same names from require and import, and nothing else`, async () => {
      const required = require(name)
      const imported = await import(name)
      assert.deepEqual(Object.keys(required).sort(), exports)
      assert.deepEqual(Object.keys(imported).sort(), exports)
      // axios' differ on purpose: each takes the axios of its own kind.
      if (name !== 'spillway/axios') for (const key of exports) assert.equal(imported[key], required[key])
    })
  }
})
