'use strict'

// One wake-up for all senders of a thread. It tells which of them have something to deliver: see src/waker.rs.

// Captured at load: a test's fake timers must not hold completions back.
const { setImmediate } = require('node:timers')

const { outside } = require('./context.js')
const { each } = require('./each.js')

/** Handling one sender's rows may take a fraction of a millisecond, and the event loop has other work, too. */
const SENDERS_PER_TURN = 32

class Waker {
  #native
  #senders = new Map()
  #last = 0
  #waiting = []

  constructor(NativeWaker) {
    // The core calls back in the context in which this function is made.
    this.#native = outside(() => new NativeWaker(() => this.#wake()))
  }

  get native() {
    return this.#native
  }

  /** Registers a sender and returns its number. `wake` is called when the core has something for it, until the number is removed. */
  add(wake) {
    const number = ++this.#last
    this.#senders.set(number, wake)
    return number
  }

  remove(number) {
    this.#senders.delete(number)
  }

  #wake() {
    const isAtIt = this.#waiting.length > 0
    for (const number of this.#native.take()) this.#waiting.push(number)
    if (!isAtIt) this.#tell()
  }

  #tell = () => {
    each(this.#waiting.splice(0, SENDERS_PER_TURN), (number) => this.#senders.get(number)?.())
    if (this.#waiting.length > 0) setImmediate(this.#tell)
  }
}

// By the class of the core that is loaded.
const wakers = new Map()

/** The waker of this thread. */
function wakerOf(NativeWaker) {
  if (!wakers.has(NativeWaker)) wakers.set(NativeWaker, new Waker(NativeWaker))
  return wakers.get(NativeWaker)
}

module.exports = { wakerOf }
