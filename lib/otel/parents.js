'use strict'

const PARENTS_MAX = 100_000
const WAITING_MAX = 10_000
const ENDS_MAX = 64
// After these the message is sent again, so its span is still wanted; after the others of a batch, perhaps, in part of it.
const RETRIED = new Set([401, 408, 413, 429])
const PARTED = new Set([207, 400])

/**
 * Finds the span of a message for the requests that carried it. An `enqueue` tells the message's id before its first
 * request; a `send` without an id of the caller's tells it with the receipt, behind the last: till then its requests
 * wait here. What is of another sender or thread waits too, until newer ones crowd it out.
 */
class Parents {
  #contexts = new Map()
  #waiting = new Map()
  #found

  /** `found(end, context, resends)` is called for each request whose parent is known. */
  constructor(found) {
    this.#found = found
  }

  /** This message's span is in this context. */
  own(id, context) {
    const parent = { context, requests: 0 }
    bounded(this.#contexts, PARENTS_MAX).set(id, parent)
    const ends = this.#waiting.get(id)
    if (ends === undefined) return
    this.#waiting.delete(id)
    for (const end of ends) this.#tell(id, parent, end)
  }

  ended(end) {
    const id = end.messageId
    const parent = this.#contexts.get(id)
    if (parent !== undefined) {
      this.#tell(id, parent, end)
      return
    }
    const ends = this.#waiting.get(id)
    if (ends === undefined) bounded(this.#waiting, WAITING_MAX).set(id, [end])
    else if (ends.length < ENDS_MAX) ends.push(end)
  }

  forget(id) {
    this.#contexts.delete(id)
  }

  #tell(id, parent, end) {
    this.#found(end, parent.context, parent.requests++)
    const { status, messages } = end
    const again = status === null || status >= 500 || RETRIED.has(status) || (messages > 1 && PARTED.has(status))
    if (!again) this.#contexts.delete(id)
  }
}

function bounded(map, max) {
  if (map.size >= max) map.delete(map.keys().next().value)
  return map
}

module.exports = { Parents }
