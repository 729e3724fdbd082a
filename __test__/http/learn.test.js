'use strict'

// `rateLimit: 'learn'` over real HTTP: a smoke of each family of headers and of none; the figures are in
// crates/core/tests/limits.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { Worker } = require('node:worker_threads')

const { message, open, simulate } = require('./support.js')

const LIMIT_MS = 60_000
const QUOTA = { requests: 50, perMs: 1_000 }

const sendAll = (sender, count) =>
  Promise.all(Array.from({ length: count }, (_, index) => sender.send(message(`m${index}`, `c${index}`))))

test('each family', { concurrency: true, timeout: LIMIT_MS }, async (t) => {
  const runs = []
  for (const headers of ['x', 'inin', 'ietf', 'ietf-legacy', 'none']) {
    runs.push(t.test(headers, async (t) => {
      const simulator = await simulate(t, { quota: QUOTA, headers, retryAfter: 'zero', latencyMs: { min: 5, max: 15 } })
      const sender = await open(t, simulator, { rateLimit: 'learn' })
      const events = []
      sender.on('quota', (quota) => events.push(quota))
      assert.deepEqual(sender.stats().quota.windows, [{ requests: 300, perMs: 60_000, why: 'start', share: null }])
      await sendAll(sender, 200)

      const { accepted, refused, duplicates } = simulator.ledger()
      assert.deepEqual({ accepted, duplicates }, { accepted: 200, duplicates: 0 })
      const { windows: [window], source, sinceMs } = sender.stats().quota
      assert.equal(source, 'learned')
      assert.equal(window.why, headers === 'none' ? 'refusals' : 'headers')
      assert.equal(window.perMs, 1_000)
      assert.ok(Math.abs(sinceMs - Date.now()) < LIMIT_MS)
      assert.equal(events[0]?.source, 'learned')
      if (headers === 'none') assert.ok(refused < 60, `${refused} refused`)
      else assert.deepEqual([window.requests, events[0].windows[0].why], [50, 'headers'])
    }))
  }
  await Promise.all(runs)
})

test('eight worker threads learn as one', { timeout: LIMIT_MS }, async (t) => {
  const simulator = await simulate(t, { quota: QUOTA, headers: 'x', latencyMs: { min: 5, max: 15 } })
  const options = { apiUrl: simulator.url, rateLimit: 'learn' }
  const ends = Array.from({ length: 8 }, (_, index) => new Promise((resolve, reject) => {
    const code = `
      const { parentPort, workerData } = require('node:worker_threads')
      const { Sender } = require(workerData.entry)
      const run = async () => {
        const sender = await Sender.open({
          organization: 'learn-8', route: 'messaging', store: 'memory', credentials: { accessToken: 'token' }, ...workerData.options,
        })
        const sends = Array.from({ length: 20 }, (_, n) =>
          sender.send({ conversationId: 'c' + workerData.index + '-' + n, body: { text: 'hi' } }))
        await Promise.all(sends)
        const { windows } = sender.stats().quota
        await sender.close()
        parentPort.postMessage(windows)
      }
      run()`
    const worker = new Worker(code, { eval: true, workerData: { entry: require.resolve('../../index.js'), options, index } })
    worker.once('message', resolve)
    worker.once('error', reject)
  }))
  for (const windows of await Promise.all(ends)) assert.deepEqual(windows[0].requests, 50)
  const { accepted, refused, mostInWindow } = simulator.ledger()
  assert.equal(accepted, 160)
  assert.ok(refused <= 2 && mostInWindow <= 2 * QUOTA.requests, `${refused} refused, ${mostInWindow} in a window`)
})
