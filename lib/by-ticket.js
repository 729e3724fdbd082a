'use strict'

const PAGE_BITS = 8
const PAGE_LENGTH = 2 ** PAGE_BITS

/**
 * Values by ticket, a number that counts up. A plain Map is rehashed again and again under that traffic, and V8 keeps each of
 * its old tables, with all that they held, until the next full collection: three quarters of a kilobyte a message. Here a Map
 * holds pages of tickets, so it changes once for many messages, and a page that is left holds nothing.
 */
class ByTicket {
  #pages = new Map()
  // Of the page that was used last: tickets come close together.
  #number = -1
  #page
  #size = 0

  get size() {
    return this.#size
  }

  /** For a ticket that has no value yet. */
  add(ticket, value) {
    const page = this.#pageOf(ticket) ?? this.#begin(Math.floor(ticket / PAGE_LENGTH))
    page.values[ticket % PAGE_LENGTH] = value
    page.size += 1
    this.#size += 1
  }

  /** Takes the ticket's value out; undefined when there is none. */
  take(ticket) {
    const page = this.#pageOf(ticket)
    const value = page?.values[ticket % PAGE_LENGTH]
    if (value === undefined) return undefined
    page.values[ticket % PAGE_LENGTH] = undefined
    page.size -= 1
    this.#size -= 1
    if (page.size === 0) this.#end(page.number)
    return value
  }

  tickets() {
    const all = []
    for (const { number, values } of this.#pages.values()) {
      values.forEach((value, index) => {
        if (value !== undefined) all.push(number * PAGE_LENGTH + index)
      })
    }
    return all
  }

  #pageOf(ticket) {
    const number = Math.floor(ticket / PAGE_LENGTH)
    if (number === this.#number) return this.#page
    const page = this.#pages.get(number)
    if (page === undefined) return undefined
    this.#number = number
    this.#page = page
    return page
  }

  #begin(number) {
    const page = { number, size: 0, values: new Array(PAGE_LENGTH).fill(undefined) }
    this.#pages.set(number, page)
    this.#number = number
    this.#page = page
    return page
  }

  #end(number) {
    this.#pages.delete(number)
    this.#number = -1
    this.#page = undefined
  }
}

module.exports = { ByTicket }
