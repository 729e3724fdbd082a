'use strict'

// What the tests over real HTTP share. Everything that is opened here is closed with the test that opened it.

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const fs = require('node:fs')
const http = require('node:http')
const https = require('node:https')
const net = require('node:net')
const path = require('node:path')
const { promisify } = require('node:util')

const { Sender, Simulator } = require('../../index.js')
const { defer } = require('../defer.js')
const { PATIENCE_MS, settled, until } = require('../until.js')

const ROOT = path.join(__dirname, '../..')
const CREDENTIALS = { clientId: 'client-of-the-tests', clientSecret: 'hush-hush-secret' }
const FIXTURES = path.join(__dirname, 'fixtures')
/** A certification authority that no machine trusts, valid from 2020 to 2120. Its key was thrown away. */
const CA_FILE = path.join(FIXTURES, 'ca.pem')
/** Its certificate for the name `localhost`. The key is for nothing but these tests. */
const TLS = {
  cert: fs.readFileSync(path.join(FIXTURES, 'localhost.pem'), 'utf8'),
  key: fs.readFileSync(path.join(FIXTURES, 'localhost.key'), 'utf8'),
}

let organizations = 0

async function simulate(t, config = {}) {
  const simulator = await Simulator.start(config)
  defer(t, () => simulator.close())
  return simulator
}

/** The options of a sender to a server; a quota that doesn't hinder, and an organization of its own. */
function optionsFor(server, options = {}) {
  const url = typeof server === 'string' ? server : server.url
  return {
    organization: `test-${process.pid}-${++organizations}`,
    apiUrl: url,
    loginUrl: url,
    credentials: CREDENTIALS,
    route: 'messaging',
    store: 'memory',
    rateLimit: { requests: 100_000, perMs: 1_000 },
    ...options,
  }
}

async function open(t, server, options) {
  const sender = await Sender.open(optionsFor(server, options))
  defer(t, () => sender.close({ timeoutMs: 0 }))
  return sender
}

/** A message whose id, order and lane the simulator's ledger knows. */
function message(id, conversationId = `conversation of ${id}`, more = {}) {
  return { id, conversationId, body: { id, text: `text of ${id}` }, ...more }
}

/**
 * The next `name` event for which `wanted` holds. Holds the event loop meanwhile: a sender does so only for promises of
 * its own.
 */
function event(sender, name, wanted = () => true) {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => {
      sender.off(name, listener)
      reject(new Error(`no such "${name}" event within ${PATIENCE_MS} ms`))
    }, PATIENCE_MS)
    const listener = (payload) => {
      if (!wanted(payload)) return
      clearTimeout(limit)
      sender.off(name, listener)
      resolve(payload)
    }
    sender.on(name, listener)
  })
}

/** The error that a promise rejects with; takes the rejection in at once, so that it may be looked at later. */
function failure(promise) {
  return settled(
    promise.then(
      (value) => assert.fail(`it should have been rejected, and gave ${JSON.stringify(value)}`),
      (error) => error,
    ),
  )
}

/** Marks a promise that a test leaves behind as one whose rejection nobody waits for. */
function ignore(promise) {
  promise.catch(() => {})
  return promise
}

async function collect(iterable) {
  const items = []
  for await (const item of iterable) items.push(item)
  return items
}

/** A server of node:http(s) with this handler. */
async function serve(t, handler, { tls } = {}) {
  const server = tls ? https.createServer(tls, handler) : http.createServer(handler)
  await listen(t, server)
  return { server, url: `${tls ? 'https' : 'http'}://localhost:${server.address().port}` }
}

/** A server of bare TCP: `onSocket` gets each connection. */
async function serveRaw(t, onSocket) {
  const server = net.createServer(onSocket)
  await listen(t, server)
  return { server, url: `http://127.0.0.1:${server.address().port}` }
}

/** Calls back for each request that has come whole, one at a time. */
function onRequests(socket, onRequest) {
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
    const [head, body] = text.split('\r\n\r\n')
    if (body === undefined || body.length < Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)) return
    text = ''
    onRequest()
  })
}

async function listen(t, server) {
  const sockets = new Set()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  defer(t, async () => {
    const closed = new Promise((resolve) => server.close(resolve))
    for (const socket of sockets) socket.destroy()
    await closed
  })
  await new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
}

/** The whole body of an incoming request or answer. */
async function textOf(incoming) {
  const chunks = []
  for await (const chunk of incoming) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

function answerJson(response, status, body, headers = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify(body))
}

/** Runs a script of `children/` in a process of its own; what it printed as JSON. */
async function inChild(script, { args = [], env = {} } = {}) {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(https?|all|no)_proxy$|^node_extra_ca/i.test(name))
  const { stdout } = await promisify(execFile)(process.execPath, [path.join(__dirname, 'children', script), ...args], {
    env: { ...Object.fromEntries(inherited), ...env },
    timeout: PATIENCE_MS,
  })
  return JSON.parse(stdout)
}

module.exports = {
  answerJson,
  CA_FILE,
  collect,
  CREDENTIALS,
  defer,
  event,
  failure,
  ignore,
  inChild,
  listen,
  message,
  onRequests,
  open,
  optionsFor,
  PATIENCE_MS,
  ROOT,
  serve,
  serveRaw,
  simulate,
  textOf,
  TLS,
  until,
}
