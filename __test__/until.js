'use strict'

const assert = require('node:assert/strict')
const { setTimeout: delay } = require('node:timers/promises')

/** Far above what any wait of a test takes; whoever waits so long has hung. */
const PATIENCE_MS = 60_000

/** For what no event tells: asks again and again until it is true. Gives what `condition` gave. */
async function until(condition) {
  const endsAt = Date.now() + PATIENCE_MS
  for (;;) {
    const value = await condition()
    if (value) return value
    if (Date.now() > endsAt) assert.fail(`not true within ${PATIENCE_MS} ms: ${condition}`)
    await delay(5)
  }
}

/** The promise, or an error that says so when it has not settled for as long. */
async function settled(promise) {
  const over = new AbortController()
  const patience = delay(PATIENCE_MS, undefined, { ref: false, signal: over.signal }).then(() =>
    assert.fail(`not settled within ${PATIENCE_MS} ms`),
  )
  patience.catch(() => {})
  try {
    return await Promise.race([promise, patience])
  } finally {
    over.abort()
  }
}

module.exports = { PATIENCE_MS, settled, until }
