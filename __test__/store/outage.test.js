'use strict'

// An outage that outlasts processes: each of them ends before it is known for one, and none spends the attempts of what it leaves.

const assert = require('node:assert/strict')
const { join } = require('node:path')
const { test } = require('node:test')

const { directory, message, open, optionsFor, Sender, simulate, until } = require('./support.js')

const RESTARTS = 6
const COUNT = 4
/** More than a run makes of them, were they counted. */
const retry = { maxAttempts: 3 }

for (const [what, outage] of [
  ['503', { kind: 'status', status: 503 }],
  ['500', { kind: 'status', status: 500 }],
  ['a page of HTML', { kind: 'html' }],
  ['refused connections', { kind: 'refused' }],
  ['connections that are reset', { kind: 'reset' }],
]) {
  test(`closing and opening in an outage by ${what} loses nothing`, { timeout: 120_000 }, async (t) => {
    const simulator = await simulate(t, { authRequired: false })
    // With a token at hand, so that what fails are requests with messages.
    const credentials = { accessToken: 'token' }
    const options = optionsFor(simulator, join(directory(t), 'outbox.db'), { credentials, retry })
    const first = await Sender.open(options)
    await first.pause()
    for (let n = 0; n < COUNT; n += 1) await first.enqueue(message(`m-${n}`, `c-${n}`, n))
    await first.close({ timeoutMs: 0 })
    await simulator.set({ outages: [outage] })
    for (let run = 0; run < RESTARTS; run += 1) {
      const sender = await Sender.open(options)
      if (run === 0) await sender.resume()
      const tries = () => sender.stats().counters.requests
      await until(() => tries() >= COUNT)
      assert.equal((await sender.close({ timeoutMs: 0 })).undelivered, COUNT, `run ${run}`)
    }
    await simulator.set({ outages: null })
    const last = await open(t, options)
    await until(() => last.stats().queue.messages === 0)
    const { ids } = simulator.ledger({ ids: true })
    assert.deepEqual(ids, Object.fromEntries(Array.from({ length: COUNT }, (_, n) => [`m-${n}`, 1])))
    assert.equal(last.stats().queue.deadLetters, 0)
  })
}
