'use strict'

// Captured at load: a test's fake timers must not decide whether the process stays alive.
const { clearInterval, setInterval } = require('node:timers')

const { ByTicket } = require('./by-ticket.js')
const { errorFrom } = require('./errors.js')

const LONGEST_INTERVAL_MS = 2 ** 31 - 1

/**
 * The promises that wait for the core, by ticket. While there is one, a timer holds the event loop: the handle through
 * which the core wakes it doesn't.
 */
class Completions {
  /** The function that settles it; for a ticket with a signal, an object of more. */
  #waiting = new ByTicket()
  #ticketsOfSignal = new Map()
  #hold = setInterval(() => {}, LONGEST_INTERVAL_MS).unref()
  #onAbort

  /** `onAbort(ticket)` is called for each ticket whose signal aborts, after its promise is rejected. */
  constructor(onAbort) {
    this.#onAbort = onAbort
  }

  get size() {
    return this.#waiting.size
  }

  /** A promise of what the ticket settles with. */
  expect(ticket, signal) {
    if (signal !== undefined) this.#watch(signal, ticket)
    if (this.#waiting.size === 0) this.#hold.ref()
    return new Promise((resolve, reject) => {
      this.#waiting.add(ticket, signal === undefined ? resolve : { resolve, reject, signal })
    })
  }

  settle(ticket, value) {
    this.#take(ticket)?.(value)
  }

  /** The same with a value that is costly: it is made only if somebody waits. Whether somebody does. */
  settleWith(ticket, make) {
    return this.#with(ticket, make, (value) => value)
  }

  /** Rejects with an error of the core, given as data. */
  fail(ticket, data) {
    this.#take(ticket)?.(rejection(data))
  }

  /** The same with data that are costly. */
  failWith(ticket, make) {
    return this.#with(ticket, make, rejection)
  }

  /** Rejects all that still wait with one error, given as data. */
  failAll(data) {
    for (const ticket of this.#waiting.tickets()) this.fail(ticket, data)
  }

  /** Rejects those up to this ticket that are not among the others. */
  failOthers(last, others, data) {
    for (const ticket of this.#waiting.tickets()) if (ticket <= last && !others.has(ticket)) this.fail(ticket, data)
  }

  /** Nothing will be expected any more. */
  end() {
    clearInterval(this.#hold)
  }

  /** The function that settles it; undefined when nobody waits: the ticket was aborted meanwhile. */
  #take(ticket) {
    const waiter = this.#forget(ticket)
    return typeof waiter === 'object' ? waiter.resolve : waiter
  }

  // What can't be made, as for want of memory, rejects the promise that waits for it.
  #with(ticket, make, settlement) {
    const resolve = this.#take(ticket)
    if (resolve === undefined) return false
    try {
      resolve(settlement(make()))
    } catch (error) {
      resolve(Promise.reject(error))
    }
    return true
  }

  #forget(ticket) {
    const waiter = this.#waiting.take(ticket)
    if (waiter === undefined) return undefined
    if (this.#waiting.size === 0) this.#hold.unref()
    if (waiter.signal !== undefined) this.#unwatch(waiter.signal, ticket)
    return waiter
  }

  // One listener a signal, not one a message: Node takes the eleventh on one signal for a leak, and warns.
  #watch(signal, ticket) {
    const watched = this.#ticketsOfSignal.get(signal)
    if (watched !== undefined) {
      watched.tickets.add(ticket)
      return
    }
    const tickets = new Set([ticket])
    const listener = () => this.#abort(tickets, abortReason(signal))
    signal.addEventListener('abort', listener)
    this.#ticketsOfSignal.set(signal, { tickets, listener })
  }

  #unwatch(signal, ticket) {
    const { tickets, listener } = this.#ticketsOfSignal.get(signal)
    tickets.delete(ticket)
    if (tickets.size > 0) return
    signal.removeEventListener('abort', listener)
    this.#ticketsOfSignal.delete(signal)
  }

  #abort(tickets, reason) {
    for (const ticket of [...tickets]) {
      const waiter = this.#forget(ticket)
      // What is told of one may settle others: it sends the frame that they are in, and that may fail.
      if (waiter === undefined) continue
      waiter.reject(reason)
      this.#onAbort(ticket)
    }
  }
}

/**
 * A promise that rejects, for another to be resolved with. V8 looks for the caller's stack from the async function that
 * throws along the promises that wait for it: so this one throws only after the other has come to wait for it, two
 * microtasks later. A method needn't be async for that, and only what fails pays for it.
 */
async function rejection(data) {
  await undefined
  await undefined
  throw errorFrom(data, rejection)
}

/** The signal's reason; signals of older polyfills have none. */
function abortReason(signal) {
  return signal.reason === undefined ? new DOMException('This operation was aborted', 'AbortError') : signal.reason
}

module.exports = { abortReason, Completions }
