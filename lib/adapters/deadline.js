'use strict'

const { performance } = require('node:perf_hooks')
const { clearTimeout, setTimeout } = require('node:timers')

const { DeliveryError } = require('../errors.js')

// Captured at load, as the timers: a test's fake clock must not move deadlines.
const now = performance.now.bind(performance)
/** The longest wait that a timer of Node's takes. */
const TIMER_MS_MAX = 2 ** 31 - 1

/** The time that a whole call may take: its body, its redirects, all its waits. Without `ms` there is no end. */
class Deadline {
  #endsAt

  constructor(ms) {
    this.#endsAt = ms === undefined ? Infinity : now() + ms
  }

  /** Milliseconds that are left, undefined where there is no end. Throws when none are. */
  leftMs() {
    if (this.#endsAt === Infinity) return undefined
    const left = this.#endsAt - now()
    if (left <= 0) throw timedOut()
    return left
  }

  /** What `task(signal)` gives; its signal aborts with the caller's, and when the time is up. */
  async within(signal, task) {
    const left = this.leftMs()
    if (left === undefined) return task(signal)
    const { signal: joined, end } = joinedWith(signal, left)
    try {
      return await task(joined)
    } finally {
      end()
    }
  }
}

/** A signal that aborts with `signal`, if there is one, and after `ms`; `end` lets go of both, and so does the time. */
function joinedWith(signal, ms) {
  const controller = new AbortController()
  const abort = () => controller.abort(signal.reason)
  const end = () => {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
  const expire = () => {
    end()
    controller.abort(timedOut())
  }
  const timer = setTimeout(expire, Math.min(ms, TIMER_MS_MAX))
  timer.unref()
  if (signal?.aborted) abort()
  else signal?.addEventListener('abort', abort)
  return { signal: controller.signal, end }
}

/** Milliseconds that a call may take: its deadline, and the client's timeout where that is one of the whole call. */
function boundOf({ deadlineMs, timeoutPer }, timeoutMs) {
  const isBound = timeoutPer === 'call' && timeoutMs > 0 && timeoutMs < Infinity
  if (!isBound) return deadlineMs
  return Math.min(timeoutMs, deadlineMs ?? timeoutMs)
}

function timedOut() {
  return new DeliveryError('the request was not answered within its deadlineMs', { code: 'DELIVERY_TIMEOUT', reason: 'timeout' })
}

module.exports = { boundOf, Deadline, joinedWith }
