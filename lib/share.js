'use strict'

// The share of a turn of the event loop that completions may take, with what they set off. A promise that settles runs the
// caller's code, and thousands in one turn, each with half a millisecond of work, would keep timers and sockets waiting for
// seconds. So they settle a few at a time: what these set off runs, and once the share is used up, the rest waits for the
// next turn.

// Captured at load: a test's fake timers must not hold completions back.
const { setImmediate } = require('node:timers')

const { surface } = require('./each.js')

/** Of a turn; one piece and what it sets off may come on top. */
const SHARE_MS = 4

// `queueMicrotask` makes an AsyncResource for each call, at several times the price.
const NOW = Promise.resolve()

class Share {
  #clock
  #queue = []
  #isRunning = false
  #startedAt = 0

  constructor(clock = () => performance.now()) {
    this.#clock = clock
  }

  /** Calls `piece` until it returns false: at once, and then whenever what the last call has set off has run. */
  run(piece) {
    this.#queue.push(piece)
    if (this.#isRunning) return
    this.#isRunning = true
    this.#begin()
  }

  #begin = () => {
    this.#startedAt = this.#clock()
    this.#next()
  }

  // Several take turns.
  #next = () => {
    const piece = this.#queue.shift()
    let hasMore = false
    try {
      hasMore = piece()
    } catch (error) {
      surface(error)
    }
    if (hasMore) this.#queue.push(piece)
    if (this.#queue.length === 0) this.#isRunning = false
    else if (this.#clock() - this.#startedAt < SHARE_MS) NOW.then(this.#next)
    else setImmediate(this.#begin)
  }
}

module.exports = { Share, SHARE_MS }
