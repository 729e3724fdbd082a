'use strict'

/** So many server errors of one plateau, and this share of its answers, are a break of the server's. */
const FAILURES_MIN = 3
const FAILURE_SHARE = 0.1

/**
 * One plateau as a state machine without clock and network: when which arrival is due, which are dropped, and when it
 * ends. The schedule is open: an arrival is due at its time, however late the answers are. Only arrivals with an
 * `inFlightMax` depend on them, and those are dropped, not postponed, so that a slow server is not spared.
 */
class Plateau {
  /** In the order of the schedule; each `{ index, intendedAt, sentAt, answeredAt, status, … }`, or `dropped`. */
  observations = []
  /** Why it ended before its schedule did: '429', '5xx', 'interrupted', 'requests', 'minutes'; or null. */
  stopped = null
  inFlight = 0
  accepted = 0
  #arrivals
  #startAt
  #next = 0
  #failures = 0
  #acceptedMax

  constructor({ arrivals, acceptedMax = Infinity }, startAt) {
    this.#arrivals = arrivals
    this.#startAt = startAt
    this.#acceptedMax = acceptedMax
  }

  /** When the next arrival is due; null when none will be. */
  get dueAt() {
    if (this.stopped !== null || this.accepted >= this.#acceptedMax || this.#next === this.#arrivals.length) return null
    return this.#startAt + this.#arrivals[this.#next].atMs
  }

  get isOver() {
    return this.dueAt === null && this.inFlight === 0
  }

  /** The arrival that is due at `now`, to be sent at once; null if it was dropped. */
  take(now) {
    const { atMs, inFlightMax = Infinity, other = false } = this.#arrivals[this.#next]
    const observation = { index: this.#next, intendedAt: this.#startAt + atMs, sentAt: now, answeredAt: null, status: null, other }
    this.#next++
    this.observations.push(observation)
    if (this.inFlight >= inFlightMax) {
      observation.dropped = true
      return null
    }
    this.inFlight++
    return observation
  }

  /** An answer; `status` 0 is none at all. */
  answered(observation, status, now) {
    this.inFlight--
    observation.answeredAt = now
    observation.status = status
    if (status >= 200 && status < 300) this.accepted++
    else if (status === 429) this.stop('429')
    else if (++this.#failures >= Math.max(FAILURES_MIN, FAILURE_SHARE * this.#next))
      this.stop(status === 0 || status >= 500 ? '5xx' : '4xx')
  }

  stop(reason) {
    this.stopped ??= reason
  }
}

module.exports = { Plateau }
