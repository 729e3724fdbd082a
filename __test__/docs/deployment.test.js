'use strict'

// docs/deployment.md: each file of it does what the page says.

const assert = require('node:assert/strict')
const { execFile, fork, spawn } = require('node:child_process')
const { once } = require('node:events')
const { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs')
const { join } = require('node:path')
const { pathToFileURL } = require('node:url')
const { promisify } = require('node:util')
const { after, it } = require('node:test')

const { PATIENCE_MS, ROOT, simulate } = require('../http/support.js')
const { readSnippets } = require('./snippets.js')

const run = promisify(execFile)
const files = readSnippets(join(ROOT, 'docs/deployment.md'))
// Inside the package, so that the files find it by name.
const folder = mkdtempSync(join(__dirname, 'deployment-'))
after(() => rmSync(folder, { recursive: true, force: true }))
for (const [name, code] of files) writeFileSync(join(folder, name), code)

const load = (name) => import(pathToFileURL(join(folder, name)))
const environment = (simulator, more) => ({ ...process.env, API_URL: simulator.url, TOKEN: 'token', ...more })

/** Starts the service, waits for it to accept a message, and stops it with SIGTERM, as an orchestrator would. */
async function serve(file, env) {
  const child = spawn(process.execPath, [file], { env: { ...env, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'], timeout: PATIENCE_MS })
  const [line] = await once(child.stdout, 'data')
  const [, port] = /^ready on port (\d+)/.exec(line)
  assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 202)
  child.kill('SIGTERM')
  assert.deepEqual(await once(child, 'exit'), [0, null])
}

it('has a test for every file', () => {
  assert.deepEqual([...files.keys()].sort(), ['build.mjs', 'cluster.mjs', 'handler.mjs', 'next.config.mjs', 'service.mjs', 'support.mjs'])
})

it('a bundle with the package external runs', async (t) => {
  const simulator = await simulate(t, { authRequired: false })
  await run(process.execPath, ['build.mjs'], { cwd: folder, timeout: PATIENCE_MS })
  const bundle = join(folder, 'out/service.mjs')
  assert.match(readFileSync(bundle, 'utf8'), /from "spillway"/)
  await serve(bundle, environment(simulator, { STORE: 'memory' }))
  assert.equal(simulator.ledger().uniqueIds, 1)
})

it('a service that gets SIGTERM leaves nothing behind but what its file keeps', async (t) => {
  const simulator = await simulate(t, { authRequired: false })
  const file = join(folder, 'service.db')
  await serve(join(folder, 'service.mjs'), environment(simulator, { STORE: `file:${file}` }))
  assert.equal(simulator.ledger().uniqueIds, 1)
  assert.ok(existsSync(file))
})

it('workers of a cluster share the quota by division, with a file each', async (t) => {
  const simulator = await simulate(t, { authRequired: false })
  const data = join(folder, 'data')
  mkdirSync(data)
  const primary = fork(join(folder, 'cluster.mjs'), { env: environment(simulator, { DATA: data }), timeout: PATIENCE_MS })
  assert.deepEqual(await once(primary, 'exit'), [0, null])
  assert.equal(simulator.ledger().uniqueIds, 4)
  for (let number = 0; number < 4; number++) assert.ok(existsSync(join(data, `outbox-${number}.db`)))
})

it('a function reports what failed', async (t) => {
  const simulator = await simulate(t, { authRequired: false, poisonText: 'poison' })
  const record = (id, text) => ({ messageId: id, body: JSON.stringify({ id, conversationId: id, body: { text } }) })
  const event = { Records: [record('a', 'good'), record('b', 'poison'), record('c', 'good')] }
  const script = `
    const { handler } = await import(${JSON.stringify(pathToFileURL(join(folder, 'handler.mjs')))})
    console.log(JSON.stringify(await handler(${JSON.stringify(event)})))
    process.exit()`
  const env = environment(simulator, { CONCURRENCY: '7' })
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { env, timeout: PATIENCE_MS })
  assert.deepEqual(JSON.parse(stdout), { batchItemFailures: [{ itemIdentifier: 'b' }] })
})

it('the Next.js configuration keeps the package out of the bundle', async () => {
  const { default: config } = await load('next.config.mjs')
  assert.deepEqual(config.serverExternalPackages, ['spillway'])
})

it('tests have an organization each', async (t) => {
  const { openSender } = await load('support.mjs')
  const [first, second] = [await openSender(t), await openSender(t, { rateLimit: { requests: 5, perMs: 1_000 } })]
  await first.sender.send({ conversationId: 'c', body: { text: 'hello' } })
  assert.deepEqual([first.simulator.ledger().arrivals, second.simulator.ledger().arrivals], [1, 0])
})
