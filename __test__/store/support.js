'use strict'

// What the tests of the file store share: each has a directory of its own, which goes with the test.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const { assertEnd, randomOf, run, start } = require('./children.js')
const { Sender, Simulator } = require('../../index.js')
const { defer } = require('../defer.js')
const { PATIENCE_MS, until } = require('../until.js')

let organizations = 0

function directory(t) {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), 'spillway-store-'))
  defer(t, () => fs.rmSync(made, { recursive: true, force: true }))
  return made
}

async function simulate(t, config = {}) {
  const simulator = await Simulator.start(config)
  defer(t, () => simulator.close())
  return simulator
}

async function open(t, options) {
  const sender = await Sender.open(options)
  defer(t, () => sender.close({ timeoutMs: 0 }))
  return sender
}

function optionsFor(simulator, file, options = {}) {
  return {
    organization: `store-${process.pid}-${++organizations}`,
    apiUrl: simulator.url,
    loginUrl: simulator.url,
    credentials: { clientId: 'store-tests', clientSecret: 'not-a-secret' },
    route: 'messaging',
    store: `file:${file}`,
    rateLimit: { requests: 100_000, perMs: 1_000 },
    ...options,
  }
}

/** A message whose id, order and lane the simulator's ledger knows. */
function message(id, conversationId, seq) {
  return { id, conversationId, body: { id, seq, text: `message ${seq}` } }
}

module.exports = {
  assertEnd,
  defer,
  directory,
  message,
  open,
  optionsFor,
  PATIENCE_MS,
  randomOf,
  run,
  Sender,
  simulate,
  Simulator,
  start,
  until,
}
