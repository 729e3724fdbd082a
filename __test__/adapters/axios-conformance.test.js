'use strict'

// The same programs by axios' own http adapter and by ours. What is known to differ is listed in axios/differences.js: a new
// difference fails, and so does a listed one that has gone.

const assert = require('node:assert/strict')
const { Agent } = require('node:http')
const { Readable } = require('node:stream')
const { describe, it } = require('node:test')

const { createAdapter } = require('spillway/axios')
const { axiosServer } = require('./axios-server.js')
const { CASES } = require('./axios/cases.js')
const { DIFFERENCES } = require('./axios/differences.js')
const { differences, seen, seenRequests, withoutBoundary } = require('./axios/observe.js')
const { openWithToken, TOKEN } = require('./support.js')

/** The newest axios, and the oldest that the adapter takes. */
const VERSIONS = { 1.21: require('axios'), 1.5: require('axios-1.5') }
const NAMES = Object.entries(CASES).flatMap(([group, cases]) => Object.keys(cases).map((name) => `${group}: ${name}`))

/** What a program sees, and the server of it, by one adapter. */
async function run(t, axios, program, { adapter: adapterFor }) {
  const there = await axiosServer(t)
  const server = await axiosServer(t, { away: there.url, requests: there.requests, arrivals: there.arrivals })
  const agent = new Agent({ keepAlive: false, maxSockets: 3 })
  const http = axios.create({ baseURL: server.url, adapter: await adapterFor(server), proxy: false, headers: { 'X-Instance': 'yes' } })
  const outcome = await seen(axios, (async () => program({ ...server, http, axios, agent, Readable }))())
  const told = withoutBoundary({ outcome, requests: seenRequests(server.requests, TOKEN) })
  return JSON.parse(JSON.stringify(told).replaceAll(new URL(server.url).port, 'PORT').replaceAll(new URL(there.url).port, 'PORT-AWAY'))
}

for (const [version, axios] of Object.entries(VERSIONS)) {
  const known = DIFFERENCES[version]
  for (const [group, cases] of Object.entries(CASES)) {
    describe(`axios ${version}: ${group}`, () => {
      for (const [name, program] of Object.entries(cases)) {
        it(name, async (t) => {
          const own = await run(t, axios, program, { adapter: () => 'http' })
          const ours = await run(t, axios, program, {
            adapter: async ({ url }) =>
              createAdapter(await openWithToken(t, url, { retry: { maxAttempts: 1 } }), { axios, otherHosts: 'pass' }),
          })
          const found = differences(own, ours)
          const { differs = [] } = known[`${group}: ${name}`] ?? {}
          if (found.join() !== differs.join()) assert.deepEqual({ found, ours }, { found: differs, ours: own })
        })
      }
    })
  }
}

describe('the list of differences', () => {
  for (const [version, known] of Object.entries(DIFFERENCES)) {
    it(`axios ${version}: names programs that there are, and says why`, () => {
      for (const [name, { differs, because }] of Object.entries(known)) {
        assert.ok(NAMES.includes(name), name)
        assert.ok(differs.length > 0 && because.length > 10, name)
      }
    })
  }
})
