'use strict'

// docs/migrating.md: each snippet does what it says, against the simulator over HTTP.

const assert = require('node:assert/strict')
const { execFile, spawn } = require('node:child_process')
const { once } = require('node:events')
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { join } = require('node:path')
const { after, test } = require('node:test')
const { promisify } = require('node:util')

const { PATIENCE_MS, ROOT, simulate, until } = require('../http/support.js')
const { defer } = require('../defer.js')
const { startRedis } = require('../redis.js')
const { readSnippets } = require('./snippets.js')

const run = promisify(execFile)
const snippets = readSnippets(join(ROOT, 'docs/migrating.md'))
const NAMES = [
  'loop before',
  'loop after',
  'fetch after',
  'axios-retry before',
  'axios-retry after',
  'bottleneck before',
  'bottleneck after',
  'p-queue before',
  'p-queue after',
  'bullmq before',
  'bullmq after',
  'sdk before',
  'sdk after',
]
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

test('every snippet of the document has its test', () => {
  assert.deepEqual([...snippets.keys()].sort(), [...NAMES, 'sender.mjs'].sort())
})

// Redis, which BullMQ needs, has no build for Windows.
const RUNS_HERE = process.platform === 'win32' ? NAMES.filter((name) => name !== 'bullmq before') : NAMES
for (const name of RUNS_HERE) {
  test(name, async (t) => {
    const file = join(folder, `${name.replace(' ', '-')}.mjs`)
    writeFileSync(file, snippets.get(name))
    const isAfter = name.endsWith('after')
    const simulator = await simulate(t, { quota: QUOTA, authRequired: false, latencyMs: 1 })
    const isSdk = name.startsWith('sdk')
    // The tools of the past lose or double what is over the quota: they get less than it.
    const list = messages(isAfter ? MESSAGES : 30).map((message) => (isSdk ? { ...message, communicationId: 'c' } : message))
    const env = { ...process.env, API_URL: simulator.url, TOKEN: 'token', SDK: isSdk ? 'yes' : 'no', AFTER: isAfter ? 'yes' : 'no' }
    const args = [join(__dirname, 'run-snippet.mjs'), file, JSON.stringify(list)]
    let stdout = ''
    if (name === 'bullmq before') {
      const { port, stop } = await startRedis()
      defer(t, stop)
      const redis = { REDIS_HOST: '127.0.0.1', REDIS_PORT: String(port) }
      await untilDelivered(args, { ...env, ...redis }, () => simulator.ledger().accepted >= list.length)
    } else {
      ;({ stdout } = await run(process.execPath, args, { cwd: folder, env, timeout: PATIENCE_MS }))
    }
    const { accepted, uniqueIds, refused, orderViolations } = simulator.ledger()
    assert.deepEqual([accepted, uniqueIds, refused], [list.length, list.length, 0])
    if (!isAfter) return
    const counters = JSON.parse(stdout)
    assert.equal(counters.requests, list.length)
    // Messages have lanes; other calls have none.
    if (counters.accepted > 0) assert.equal(orderViolations, 0)
  })
}

/** A worker never ends by itself: its process is ended when all is there. */
async function untilDelivered(args, env, delivered) {
  const child = spawn(process.execPath, args, { cwd: folder, env, stdio: ['ignore', 'ignore', 'inherit'] })
  const ended = once(child, 'exit')
  try {
    await until(delivered)
  } finally {
    child.kill()
    await ended
  }
}
