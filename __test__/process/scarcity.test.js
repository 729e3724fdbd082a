'use strict'

// A system that has run out of descriptors or threads: an error that says so, at once, and no trace of it afterwards.

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { mkdtempSync, readdirSync, rmSync, statSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { test } = require('node:test')

const { Simulator } = require('../../index.js')
const { CHILDREN, optionsFor, PATIENCE_MS } = require('./support.js')

const NOWHERE = 'http://127.0.0.1:9'
const DESCRIPTORS = [24, 48, 64, 200]
const THREADS = 24
const HAS_LIMITS = process.platform !== 'win32'
/** A user without any other process, whose threads nobody else's are counted with. */
const LONE_USER = 54_321

/** What a script prints that runs under these limits; one that hangs is killed. */
function runLimited(limits, script, input, { env = {} } = {}) {
  const args = ['-c', `${limits} && exec "$0" "$@"`, process.execPath, join(CHILDREN, script), JSON.stringify(input)]
  const child = spawn('sh', args, { env: { ...process.env, ...env }, timeout: PATIENCE_MS, killSignal: 'SIGKILL' })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      try {
        assert.deepEqual({ code, signal }, { code: 0, signal: null }, output)
        resolve(JSON.parse(output.trim().split('\n').at(-1)))
      } catch (error) {
        reject(error)
      }
    })
  })
}

function assertScarce(tries, codes) {
  const failed = tries.filter(({ opened }) => !opened)
  assert.ok(failed.length > 0, 'there were descriptors enough from the start')
  for (const { code, message } of failed) {
    assert.ok(codes.includes(code), `${code}: ${message}`)
    assert.match(message, /descriptors|open files/, message)
    assert.match(message, /ulimit -n/, message)
  }
}

test('without descriptors for the engine, the first open fails, and a later one does not', { skip: !HAS_LIMITS }, async () => {
  for (const limit of DESCRIPTORS) {
    const { tries, plenty } = await runLimited(`ulimit -n ${limit}`, 'scarce-descriptors.js', { options: optionsFor(NOWHERE) })
    assertScarce(tries, ['RESOURCES_EXHAUSTED'])
    assert.deepEqual([tries.at(-1), plenty], [{ opened: true }, { opened: true }])
  }
})

test('roots that cannot be read for want of descriptors are read later', { skip: !HAS_LIMITS }, async () => {
  // What is trusted is settled once: it must not be settled without them.
  const options = optionsFor('https://localhost:9')
  const env = { SSL_CERT_FILE: join(__dirname, '../http/fixtures/ca.pem'), SSL_CERT_DIR: undefined }
  const warmUp = optionsFor(NOWHERE)
  const { tries, plenty } = await runLimited('ulimit -n 64', 'scarce-descriptors.js', { options, warmUp }, { env })
  assertScarce(tries, ['RESOURCES_EXHAUSTED'])
  assert.deepEqual([tries.at(-1), plenty], [{ opened: true }, { opened: true }])
})

test('without descriptors for its file, a store is not said to be missing, and nothing of it is lost', { skip: !HAS_LIMITS }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-scarce-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const options = optionsFor(NOWHERE, { store: `file:${join(folder, 'outbox.db')}` })
  const input = { options, warmUp: optionsFor(NOWHERE) }
  // The first makes the file, the second finds one.
  for (let round = 0; round < 2; round++) {
    const { tries, plenty } = await runLimited('ulimit -n 64', 'scarce-descriptors.js', input)
    assertScarce(tries, ['STORE_FAILED', 'RESOURCES_EXHAUSTED'])
    assert.deepEqual([tries.at(-1), plenty], [{ opened: true }, { opened: true }])
  }
  const names = readdirSync(folder)
  assert.ok(
    names.every((name) => !name.includes('recovered')),
    `nothing was set aside: ${names}`,
  )
})

test('idle connections of one organization make way for another when the process has no descriptors left', {
  skip: !HAS_LIMITS,
}, async (t) => {
  const simulator = await Simulator.start({ authRequired: false, latencyMs: 100 })
  t.after(() => simulator.close())
  const credentials = { accessToken: 'token' }
  const input = { idle: optionsFor(simulator.url, { credentials }), other: optionsFor(simulator.url, { credentials }) }
  const { taken, status, attempts } = await runLimited('ulimit -n 128', 'scarce-connections.js', input)
  assert.ok(taken > 0, 'there were descriptors left')
  assert.deepEqual({ status, attempts }, { status: 200, attempts: 1 })
})

/** How many threads this user has. */
function threadsOf(uid) {
  let count = 0
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (statSync(`/proc/${pid}`).uid === uid) count += readdirSync(`/proc/${pid}/task`).length
    } catch {}
  }
  return count
}

/**
 * Under a limit that leaves a few threads to a process, whose user has others already. Root has no such limit, so there the
 * script becomes another user once it has loaded what it runs, which may lie where only root can read.
 */
function runWithFewThreads(script, input) {
  const user = process.getuid() === 0 ? LONE_USER : undefined
  const limit = threadsOf(user ?? process.getuid()) + THREADS
  // dash has it as -p, bash as -u.
  return runLimited(`{ ulimit -p ${limit} 2>/dev/null || ulimit -u ${limit}; }`, script, { ...input, user })
}

test('without a thread for the engine, too', { skip: process.platform !== 'linux' }, async () => {
  const { workers, scarce, plenty } = await runWithFewThreads('scarce-threads.js', { options: optionsFor(NOWHERE) })
  assert.ok(workers < THREADS, `${workers} workers were started`)
  assert.equal(scarce.code, 'RESOURCES_EXHAUSTED', JSON.stringify(scarce))
  assert.match(scarce.message, /thread/)
  assert.match(scarce.message, /ulimit -u/)
  assert.deepEqual(plenty, { opened: true })
})

test('a host whose name cannot be looked up for want of a thread is tried again', { skip: process.platform !== 'linux' }, async (t) => {
  const simulator = await Simulator.start({ authRequired: false })
  t.after(() => simulator.close())
  const credentials = { accessToken: 'token' }
  const options = optionsFor(simulator.url.replace('127.0.0.1', 'localhost'), { credentials, retry: { maxAttempts: 1_000 } })
  assert.deepEqual(await runWithFewThreads('scarce-lookups.js', { options }), { status: 200 })
})
