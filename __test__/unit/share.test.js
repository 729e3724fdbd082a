'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setImmediate: nextTurn } = require('node:timers/promises')

const { Share, SHARE_MS } = require('../../lib/share.js')

/** A share whose clock stands still but for what `spend` spends. */
function shareOf() {
  let now = 0
  return { share: new Share(() => now), spend: (ms) => (now += ms) }
}

test('what fits into the share is done in one turn, and what it sets off in between', async () => {
  const { share } = shareOf()
  const done = []
  let left = 3
  share.run(() => {
    const number = left--
    done.push(number)
    Promise.resolve().then(() => done.push(`after ${number}`))
    return left > 0
  })
  assert.deepEqual(done, [3], 'the first at once')
  for (let tick = 0; tick < 20; tick++) await null
  assert.deepEqual(done, [3, 'after 3', 2, 'after 2', 1, 'after 1'])
})

test('what callers spend counts, and the rest waits for the next turn', async () => {
  const { share, spend } = shareOf()
  let [done, left] = [0, 100]
  share.run(() => {
    done++
    Promise.resolve().then(() => spend(SHARE_MS / 4))
    return --left > 0
  })
  const perTurn = []
  while (left > 0) {
    const before = done
    await nextTurn()
    perTurn.push(done - before)
  }
  assert.ok(Math.max(...perTurn) <= 5, `${perTurn} in a turn`)
  assert.equal(done, 100)
})

test('several take turns, and one that throws keeps nobody back', async () => {
  const { share, spend } = shareOf()
  const order = []
  const uncaught = []
  process.setUncaughtExceptionCaptureCallback((error) => uncaught.push(error.message))
  try {
    share.run(() => {
      spend(SHARE_MS)
      throw new Error('broken')
    })
    for (const name of ['a', 'b']) {
      let left = 3
      share.run(() => {
        order.push(name)
        return --left > 0
      })
    }
    while (order.length < 6) await nextTurn()
    assert.deepEqual(order, ['a', 'a', 'b', 'a', 'b', 'b'])
    assert.deepEqual(uncaught, ['broken'])
  } finally {
    process.setUncaughtExceptionCaptureCallback(null)
  }
})
