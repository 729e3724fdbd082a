'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setImmediate: nextTurn } = require('node:timers/promises')

const { wakerOf } = require('../../lib/waker.js')

const { FakeWaker } = require('./fake-binding.js')

test('the senders of a thread share a waker, and each hears its own', () => {
  class Waker extends FakeWaker {}
  const waker = wakerOf(Waker)
  assert.equal(wakerOf(Waker), waker)
  const heard = []
  const [a, b] = ['a', 'b'].map((name) => waker.add(() => heard.push(name)))
  waker.native.ring(b)
  waker.native.ring(a)
  waker.remove(b)
  waker.native.ring(b)
  assert.deepEqual(heard, ['b', 'a'])
})

test('many that have something are heard over several turns of the event loop, and one that throws keeps nobody back', async () => {
  class Waker extends FakeWaker {}
  const waker = wakerOf(Waker)
  const heard = []
  const numbers = Array.from({ length: 100 }, (_, index) =>
    waker.add(() => {
      heard.push(index)
      if (index === 5) throw new Error('from a listener')
    }),
  )
  const uncaught = []
  process.setUncaughtExceptionCaptureCallback((error) => uncaught.push(error.message))
  try {
    waker.native.take = () => numbers.splice(0)
    waker.native.wake()
    const first = heard.length
    assert.ok(first > 5 && first < 100, `${first} in the first turn`)
    // More come meanwhile, and wait their turn.
    numbers.push(1)
    waker.native.wake()
    assert.equal(heard.length, first)
    while (heard.length < 101) await nextTurn()
    assert.deepEqual(heard, [...Array(100).keys(), 0])
    assert.deepEqual(uncaught, ['from a listener'])
  } finally {
    process.setUncaughtExceptionCaptureCallback(null)
  }
})
