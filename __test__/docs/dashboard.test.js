'use strict'

// docs/dashboard.md: each file of it serves the page as the text says.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { join } = require('node:path')
const { pathToFileURL } = require('node:url')
const { after, before, it } = require('node:test')

const { Simulator } = require('../../index.js')
const { ask, operate } = require('../dashboard/support.js')
const { ROOT } = require('../http/support.js')
const { readSnippets } = require('./snippets.js')

const files = readSnippets(join(ROOT, 'docs/dashboard.md'))
// Inside the package, so that the files find it by name.
const folder = mkdtempSync(join(__dirname, 'run-'))
for (const [name, code] of files) writeFileSync(join(folder, name), code)
const load = (name) => import(pathToFileURL(join(folder, name)))

let simulator
let sender

before(async () => {
  simulator = await Simulator.start()
  Object.assign(process.env, { API_URL: simulator.url, GENESYS_CLIENT_ID: 'client', GENESYS_CLIENT_SECRET: 'secret', PORT: '0' })
  ;({ sender } = await load('sender.mjs'))
})

after(async () => {
  await sender.close({ timeoutMs: 0 })
  await simulator.close()
  rmSync(folder, { recursive: true, force: true })
})

async function listening(server) {
  if (!server.listening) await once(server, 'listening')
  return `http://127.0.0.1:${server.address().port}`
}

async function close(server) {
  server.close()
  server.closeAllConnections()
  await once(server, 'close')
}

it('has a test for every file', () => {
  assert.deepEqual([...files.keys()].sort(), ['express.mjs', 'fastify.mjs', 'http.mjs', 'sender.mjs'])
})

it('http.mjs serves this machine', async () => {
  const { server } = await load('http.mjs')
  const url = await listening(server)
  assert.equal((await ask(`${url}/`)).status, 200)
  assert.deepEqual((await ask(`${url}/session`)).json.acts, [])
  await close(server)
})

it('express.mjs lets operators act, support look, and nobody else in', async () => {
  const { server } = await load('express.mjs')
  const url = `${await listening(server)}/ops/spillway/`
  const as = (user) => ({ headers: { 'x-user': user, host: 'ops.example.com' } })
  assert.equal((await ask(url)).status, 403)
  assert.equal((await ask(url, as('mallory'))).status, 403)
  assert.equal((await ask(url, as('bob'))).status, 200)
  assert.deepEqual((await ask(`${url}session`, as('bob'))).json.acts, [])
  const { acts, by } = (await ask(`${url}session`, as('alice'))).json
  assert.deepEqual([acts, by], ['all', 'alice'])
  await close(server)
})

it('fastify.mjs serves the page below its path', async () => {
  const { app } = await load('fastify.mjs')
  const url = await listening(app.server)
  assert.equal((await ask(`${url}/ops/`)).status, 200)
  assert.equal((await ask(`${url}/ops/main.mjs`)).status, 200)
  const answer = await operate(`${url}/ops/`, { organization: 'acme', action: 'pause' })
  assert.equal(answer.json.error.code, 'READ_ONLY')
  await app.close()
})
