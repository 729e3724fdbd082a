'use strict'

const { BACKLOG, IS_OPEN } = require('../raw.js')
const { COARSE_MS, History } = require('./history.js')
const { rowOf, sampleOf } = require('./row.js')

const LOOK_MS = 1_000
/** What was seen before is no news: without a page it is looked at rarely. */
const STALE_MS = 3_000
const CONVERSATIONS = 12
const REQUESTS = 20
const OPERATIONS_MAX = 50

/** One organization as the dashboard knows it: its last reading, its history, and what operators did. */
class Organization {
  name
  sender
  history = new History()
  /** The row as JSON, and the tick in which it last changed. */
  row = ''
  changedAt = 0
  stats = null
  operations = []
  #backlog = null
  #seenAt = Number.NEGATIVE_INFINITY
  #lookedAt = Number.NEGATIVE_INFINITY
  #isLooking = false

  constructor(name, sender) {
    this.name = name
    this.sender = sender
  }

  /** Reads `stats()`; the row counts as changed in this tick if it has. With `isWatched` also looks at what waits. */
  read(now, tick, isWatched) {
    this.stats = this.sender.stats()
    this.#look(now, isWatched ? LOOK_MS : COARSE_MS)
    if (this.history.isDue(now)) this.history.add(sampleOf(this.stats, this.#backlog?.oldestMs ?? null, now))
    if (!isWatched) return
    const backlog = now - this.#seenAt < STALE_MS ? this.#backlog : null
    const row = rowOf(this.stats, this.history, backlog, now)
    if (!this.sender[IS_OPEN]) Object.assign(row, { level: 'closed', causes: [], more: 0 })
    const text = JSON.stringify(row)
    if (text === this.row) return
    this.row = text
    this.changedAt = tick
  }

  /** More than a row: what waits longest and why, and what is on the wire. */
  async detail() {
    const { conversations, requests } = await this.sender[BACKLOG]({ conversations: CONVERSATIONS, requests: REQUESTS })
    const waiting = await Promise.all(
      conversations.map((one, number) => this.#explained({ ...one, number: one.id === null ? number : null })),
    )
    const { latencies, merging, outages, pauses, process } = this.stats
    return { waiting, requests, latencies, merging, outages, pauses, process, operations: this.operations }
  }

  keepOperation(operation) {
    this.operations = [operation, ...this.operations].slice(0, OPERATIONS_MAX)
  }

  // It may have left since.
  async #explained(conversation) {
    const unknown = { ...conversation, state: null, reasons: [], expectedInMs: null, attempts: 0 }
    if (conversation.id === null) return unknown
    try {
      const { state, reasons, expectedInMs, attempts } = await this.sender.explain(conversation.id)
      return { ...conversation, state, reasons, expectedInMs, attempts }
    } catch {
      return unknown
    }
  }

  // Answered by the engine: what it says is in the next reading.
  #look(now, everyMs) {
    const { messages, deadLetters } = this.stats.queue
    if (this.#isLooking || now - this.#lookedAt < everyMs || !this.sender[IS_OPEN]) return
    if (messages === 0 && deadLetters === 0) {
      this.#backlog = null
      return
    }
    this.#lookedAt = now
    this.#isLooking = true
    this.sender[BACKLOG]({ conversations: 0, requests: 0 })
      .then(
        (backlog) => {
          this.#backlog = backlog
          this.#seenAt = Date.now()
        },
        () => {},
      )
      .finally(() => {
        this.#isLooking = false
      })
  }
}

module.exports = { Organization }
