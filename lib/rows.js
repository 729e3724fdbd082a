'use strict'

// What the core tells comes as rows, arrays of `[ticket, kind, …]`: see docs/boundary.md.

const { READINGS } = require('./body.js')
const { each } = require('./each.js')

/** Of a row that no single promise waits for. */
const NO_TICKET = 0

/** Settles the promise that waits for the row. `takeBody(ticket)` gives the body that crosses apart from it. */
function settle(completions, row, takeBody) {
  const kind = row[1]
  // A receipt, of which there are most, has its status there.
  if (typeof kind === 'number') return completions.settle(row[0], receiptOf(row))
  switch (kind) {
    case 'duplicate':
      return completions.settle(row[0], { id: row[2], duplicate: true })
    case 'ok':
      return completions.settle(row[0], row[2])
    case 'answer':
      return settleAnswer(completions, row, takeBody)
    case 'err':
      return row.length > 3 ? failAnswered(completions, row, takeBody) : completions.fail(row[0], row[2])
  }
}

// The body is taken whether or not somebody waits for it: until then it counts as memory of the process.
function settleAnswer(completions, [ticket, , head, reading], takeBody) {
  const answer = () => ({ ...head, body: READINGS[reading](takeBody(ticket)) })
  if (!completions.settleWith(ticket, answer)) takeBody(ticket)
}

function failAnswered(completions, [ticket, , data, reading], takeBody) {
  const failure = () => ({ ...data, response: READINGS[reading](takeBody(ticket)) })
  if (!completions.failWith(ticket, failure)) takeBody(ticket)
}

/** All that were accepted one after another share a row: these of it. */
function settleAccepted(completions, row, from, to) {
  for (let at = from; at < to; at++) {
    completions.settle(row[2 + 2 * at], { id: row[3 + 2 * at], duplicate: false })
  }
}

/** How many are told by a row. */
function countOf(row) {
  return row?.[0] === NO_TICKET && row[1] === 'accepted' ? (row.length - 2) / 2 : 1
}

/** Rows that are taken a few at a time, and those of many by parts. */
class Rows {
  #rows
  #at = 0
  /** How many of the row at `#at` are taken. */
  #taken = 0

  constructor(rows) {
    this.#rows = rows
  }

  get isEmpty() {
    return this.#at === this.#rows.length
  }

  /** Calls `hear(row, from, to)` for the next ones. A listener that throws must not stop those after it. */
  take(count, hear) {
    const next = []
    while (count > 0 && !this.isEmpty) {
      const row = this.#rows[this.#at]
      const from = this.#taken
      const to = Math.min(countOf(row), from + count)
      next.push([row, from, to])
      count -= Math.max(1, to - from)
      this.#taken = to
      if (to < countOf(row)) break
      this.#at += 1
      this.#taken = 0
    }
    each(next, ([row, from, to]) => hear(row, from, to))
  }
}

/** There is one for each message, so it crosses without the names of its fields. */
function receiptOf(row) {
  const receipt = {
    id: row[2],
    conversationId: row[3],
    status: row[1],
    body: row[4],
    attempts: row[5],
    batchSize: row[6],
    queuedMs: row[7],
    correlationId: row[8],
  }
  if (row[9] !== 0) receipt.duplicate = true
  return receipt
}

module.exports = { NO_TICKET, Rows, settle, settleAccepted }
