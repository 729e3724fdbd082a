'use strict'

// Work that many callers may ask for in one turn of the event loop, such as opening a thousand senders, and of which each
// piece takes a fraction of a millisecond. Beyond some per turn it waits for the next: timers and sockets are served between.

// Captured at load: a test's fake timers must not hold it back.
const { setImmediate } = require('node:timers')

class Turns {
  #perTurn
  #left
  #waiting = []
  #isCounting = false

  constructor(perTurn) {
    this.#perTurn = perTurn
    this.#left = perTurn
  }

  /** `null` if one more may be done at once; else a promise of the turn in which it may. First come, first served. */
  take() {
    if (!this.#isCounting) {
      this.#isCounting = true
      setImmediate(this.#next)
    }
    if (this.#left > 0) {
      this.#left--
      return null
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  // While somebody waits, nobody else finds any left: the places of a turn are given away when it begins.
  #next = () => {
    const going = this.#waiting.splice(0, this.#perTurn)
    this.#left = this.#perTurn - going.length
    this.#isCounting = going.length > 0
    if (this.#isCounting) setImmediate(this.#next)
    for (const go of going) go()
  }
}

module.exports = { Turns }
