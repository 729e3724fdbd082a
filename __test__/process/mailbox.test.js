'use strict'

// A thread that takes nothing while others send: what waits for it is bounded, and its own ends are among it.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { join } = require('node:path')
const { test } = require('node:test')
const { Worker } = require('node:worker_threads')

const { Sender } = require('../../index.js')
const { answerJson, serve } = require('../http/support.js')
const { message, optionsFor } = require('./support.js')

const ANSWER = 'x'.repeat(60_000)
const MESSAGES = 2_000
/** As in docs/limits.md; the array that is begun last is written to its end. */
const EVENT_BYTES_MAX = 64 * 1024 * 1024 + 256 * ANSWER.length

test('a blocked thread hears of its own messages, and of others as long as there is room', async (t) => {
  let release
  const held = new Promise((resolve) => (release = resolve))
  const { url } = await serve(t, async (request, response) => {
    request.resume()
    if (request.url === '/oauth/token') return answerJson(response, 200, { access_token: 'token', expires_in: 3_600 })
    if (request.url.includes('/own/')) await held
    return answerJson(response, 200, ANSWER)
  })
  const options = optionsFor(url, { rateLimit: { requests: 100_000, perMs: 1_000 } })
  const gate = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(join(__dirname, 'children/blocked-worker.js'), { workerData: { options, gate } })
  t.after(() => worker.terminate())
  await once(worker, 'message')
  const sender = await Sender.open(options)
  t.after(() => sender.close({ timeoutMs: 0 }))
  await Promise.all(Array.from({ length: MESSAGES }, (_, seq) => sender.send(message(`m${seq}`, `c${seq}`, seq))))
  release()
  await sender.drain()
  Atomics.store(gate, 0, 1)
  Atomics.notify(gate, 0)
  const [{ id, heard }] = await once(worker, 'message')
  assert.equal(id, 'own')
  assert.ok(heard * ANSWER.length > EVENT_BYTES_MAX / 2 && heard * ANSWER.length <= EVENT_BYTES_MAX, `${heard} heard`)
})
