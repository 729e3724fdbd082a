'use strict'

// docs/migrating.md: each snippet does what it says, against the simulator over HTTP.

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { createRequire } = require('node:module')
const { join } = require('node:path')
const { after, test } = require('node:test')
const { promisify } = require('node:util')

const { PATIENCE_MS, ROOT, simulate } = require('../http/support.js')
const { readSnippets } = require('./snippets.js')

const run = promisify(execFile)
const snippets = readSnippets(join(ROOT, 'docs/migrating.md'))
const NEEDS = {
  'loop before': [], 'loop after': [], 'fetch after': ['spillway/fetch'],
  'axios-retry before': ['axios', 'axios-retry'], 'axios-retry after': ['axios', 'spillway/axios'],
  'bottleneck before': ['bottleneck'], 'bottleneck after': [], 'p-queue before': ['p-queue'], 'p-queue after': [],
  'bullmq before': [], 'bullmq after': [],
  'sdk before': ['purecloud-platform-client-v2'], 'sdk after': ['purecloud-platform-client-v2', 'spillway/sdk'],
}
// Its queue needs a Redis.
const SYNTAX_ONLY = new Set(['bullmq before'])
// Above the quota of the simulator, so that the "after" has to wait.
const MESSAGES = 120
const QUOTA = { requests: 100, perMs: 1_000 }

// Inside the package, so that the snippets find it and the others by name.
const folder = mkdtempSync(join(__dirname, 'run-'))
after(() => rmSync(folder, { recursive: true, force: true }))
writeFileSync(join(folder, 'sender.mjs'), snippets.get('sender.mjs'))

function messages(count) {
  return Array.from({ length: count }, (_, seq) => {
    const id = `m${seq}`
    const lane = seq % 12
    return { id, conversationId: `lane-${lane}`, body: { id, seq, text: `text ${seq}` } }
  })
}

/** The first of these that isn't there, if one isn't. */
function missing(packages) {
  const { resolve } = createRequire(join(ROOT, 'package.json'))
  return packages.find((name) => {
    try {
      resolve(name)
      return false
    } catch (error) {
      // An ESM-only package is there, and `require` may not have it.
      return error.code !== 'ERR_PACKAGE_PATH_NOT_EXPORTED' || name.startsWith('spillway/')
    }
  })
}

test('every snippet of the document has its test', () => {
  assert.deepEqual([...snippets.keys()].sort(), [...Object.keys(NEEDS), 'sender.mjs'].sort())
})

for (const [name, packages] of Object.entries(NEEDS)) {
  const absent = missing(packages)
  test(`${name}${SYNTAX_ONLY.has(name) ? ' (syntax only)' : ''}`, { skip: absent && `${absent} is not installed` }, async (t) => {
    const file = join(folder, `${name.replace(' ', '-')}.mjs`)
    writeFileSync(file, snippets.get(name))
    if (SYNTAX_ONLY.has(name)) {
      await run(process.execPath, ['--check', file])
      return
    }
    const isAfter = name.endsWith('after')
    const simulator = await simulate(t, { quota: QUOTA, authRequired: false, latencyMs: 1 })
    const isSdk = name.startsWith('sdk')
    // The tools of the past lose or double what is over the quota: they get less than it.
    const list = messages(isAfter ? MESSAGES : 30).map((message) => (isSdk ? { ...message, communicationId: 'c' } : message))
    const env = { ...process.env, API_URL: simulator.url, TOKEN: 'token', SDK: isSdk ? 'yes' : 'no', AFTER: isAfter ? 'yes' : 'no' }
    const { stdout } = await run(process.execPath, [join(__dirname, 'run-snippet.mjs'), file, JSON.stringify(list)], {
      cwd: folder, env, timeout: PATIENCE_MS,
    })
    const { accepted, uniqueIds, refused, orderViolations } = simulator.ledger()
    assert.deepEqual([accepted, uniqueIds, refused], [list.length, list.length, 0])
    if (!isAfter) return
    const counters = JSON.parse(stdout)
    assert.equal(counters.requests, list.length)
    // Messages have lanes; other calls have none.
    if (counters.accepted > 0) assert.equal(orderViolations, 0)
  })
}
