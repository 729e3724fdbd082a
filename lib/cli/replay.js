'use strict'

const { performance } = require('node:perf_hooks')
const { setTimeout: sleep } = require('node:timers/promises')

const { quantile } = require('./summary.js')

/**
 * Hands each row over at its time, in the order of the rows, and waits until all that `handOver(row)` promised has
 * settled. Gives the time that it took, and the delays of those that resolved, from arrival to the end.
 */
class Replay {
  settled = 0
  #delays = []
  #recorded = new Set()

  constructor(rows, speed) {
    this.rows = rows
    this.speed = speed
  }

  async run(handOver, signal) {
    const startedAt = performance.now()
    const pending = []
    for (let next = 0; next < this.rows.length && !signal.aborted; ) {
      const elapsedMs = performance.now() - startedAt
      for (; next < this.rows.length && this.#dueMs(next) <= elapsedMs; next++) {
        pending.push(this.#follow(this.rows[next], startedAt + this.#dueMs(next), handOver))
      }
      if (next < this.rows.length) await sleep(this.#dueMs(next) - elapsedMs, undefined, { signal }).catch(() => {})
    }
    await Promise.all(pending)
    return { elapsedMs: performance.now() - startedAt, delayMs: this.#delayMs() }
  }

  #dueMs(index) {
    return this.rows[index].atMs / this.speed
  }

  async #follow(row, dueAt, handOver) {
    // A repeated row settles with the first of its id, so its delay says nothing.
    const first = !this.#recorded.has(row.id)
    this.#recorded.add(row.id)
    if ((await handOver(row)) && first) this.#delays.push(performance.now() - dueAt)
    this.settled++
  }

  #delayMs() {
    const sorted = this.#delays.sort((a, b) => a - b)
    return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), max: sorted.at(-1) ?? 0 }
  }
}

module.exports = { Replay }
