'use strict'

// What the core tells comes as rows, arrays of `[ticket, kind, …]`: see docs/boundary.md.

const { READINGS } = require('./body.js')

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

/** All that were accepted one after another share a row. */
function settleAccepted(completions, row) {
  for (let at = 2; at < row.length; at += 2) {
    completions.settle(row[at], { id: row[at + 1], duplicate: false })
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

module.exports = { NO_TICKET, settle, settleAccepted }
