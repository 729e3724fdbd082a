'use strict'

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { join } = require('node:path')

const { PATIENCE_MS, until } = require('../until.js')

const ROOT = join(__dirname, '../..')
const CHILDREN = join(__dirname, 'children')
const CREDENTIALS = { clientId: 'process-tests', clientSecret: 'not-a-secret' }

let organizations = 0

/** The options of a sender to a simulator; an organization of its own unless one is given. */
function optionsFor(url, options = {}) {
  return {
    organization: `process-${process.pid}-${++organizations}`,
    apiUrl: url,
    loginUrl: url,
    credentials: CREDENTIALS,
    route: 'messaging',
    store: 'memory',
    rateLimit: { requests: 1_000, perMs: 1_000 },
    ...options,
  }
}

/** Gives up root for good, for the user of that number. */
function become(user) {
  if (user === undefined) return
  process.setgroups([])
  process.setgid(user)
  process.setuid(user)
}

/** A message whose id, order and lane the simulator's ledger knows. */
function message(id, conversationId, seq) {
  return { id, conversationId, body: { id, seq, text: `message ${seq}` } }
}

/**
 * Starts a script of `children/`; it gets `input` as JSON in its last argument, and a stdin that stays open. `flowing`
 * resolves when it has printed its first line, `ended` with how it ended. One that hangs is killed, so that its test fails
 * and the run goes on.
 */
function start(script, input = {}, { nodeArgs = [], env = process.env } = {}) {
  const child = spawn(process.execPath, [...nodeArgs, join(CHILDREN, script), JSON.stringify(input)], {
    stdio: 'pipe',
    env,
  })
  const limit = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS)
  const output = { stdout: '', stderr: '' }
  let onFlow
  const flowing = new Promise((resolve) => {
    onFlow = resolve
  })
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => {
      output[name] += text
      if (name === 'stdout' && text.includes('\n')) onFlow()
    })
  }
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(limit)
      onFlow()
      resolve({ code, signal, ...output })
    })
  })
  return { child, flowing, ended }
}

function run(script, input, options) {
  return start(script, input, options).ended
}

/** Asserts how a child ended; shows what it said if it ended otherwise. */
function assertEnd({ code, signal, stdout, stderr }, expected) {
  const wanted = { code: null, signal: null, ...expected }
  assert.deepEqual({ code, signal }, wanted, `stdout: ${stdout}\nstderr: ${stderr}`)
}

/** Chance from a seed (mulberry32): a failing run says which. */
function randomOf(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

module.exports = {
  assertEnd,
  become,
  CHILDREN,
  CREDENTIALS,
  message,
  optionsFor,
  PATIENCE_MS,
  randomOf,
  ROOT,
  run,
  start,
  until,
}
