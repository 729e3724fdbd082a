'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setImmediate: nextTurn } = require('node:timers/promises')

const { Turns } = require('../../lib/turns.js')

test('what is more than a turn has places for waits its turn, in order', async () => {
  const turns = new Turns(3)
  const done = []
  const work = async (name) => {
    const turn = turns.take()
    if (turn !== null) await turn
    done.push(name)
  }
  const all = Promise.all(Array.from({ length: 8 }, (_, name) => work(name)))
  assert.deepEqual(done, [0, 1, 2], 'at once')
  await nextTurn()
  assert.ok(done.length <= 6, `${done.length} in two turns`)
  await all
  assert.deepEqual(done, [0, 1, 2, 3, 4, 5, 6, 7])
})

test('who comes while others wait comes after them', async () => {
  const turns = new Turns(1)
  assert.equal(turns.take(), null)
  const order = []
  const waits = ['first', 'second'].map((name) => turns.take().then(() => order.push(name)))
  await waits[0]
  waits.push(turns.take().then(() => order.push('third')))
  await Promise.all(waits)
  assert.deepEqual(order, ['first', 'second', 'third'])
})

test('a loop that awaits each lets timers run', async () => {
  const turns = new Turns(2)
  let timers = 0
  const timer = setInterval(() => timers++, 0)
  try {
    // However many it takes, since a timer counts milliseconds.
    while (timers < 3) await turns.take()
  } finally {
    clearInterval(timer)
  }
})

test('later turns have all their places again', async () => {
  const turns = new Turns(2)
  turns.take()
  await nextTurn()
  await nextTurn()
  assert.deepEqual([turns.take(), turns.take()], [null, null])
})
