'use strict'

const { troubleOf } = require('./trouble.js')

/** Rates are those of about the last seconds: of one alone, a window of the quota would show as a flicker. */
const RATE_SPAN_MS = 5_000
const ROUND_MS = 100

/** What the list shows of an organization, from its `stats()`, its history, and the last look at what waits. */
function rowOf(stats, history, backlog, now) {
  const oldestMs = stats.queue.messages > 0 ? (backlog?.oldestMs ?? null) : null
  const { counters } = stats
  const lately = (counter) => history.growth(counter, counters[counter])
  const rateOf = (counter) => round(history.rate(counter, counters[counter], now, RATE_SPAN_MS))
  const rate = rateOf('requests')
  return {
    organization: stats.organization,
    ...troubleOf(
      stats,
      { oldestMs, rate, deadLetters: lately('deadLetters'), throttled: lately('throttled'), requests: lately('requests') },
      now,
    ),
    rate,
    delivered: rateOf('delivered'),
    quota: quotaOf(stats.quota),
    available: stats.budget.available,
    nextAtMs: nextAt(stats.budget, now),
    queue: stats.queue,
    oldestMs,
    delay: { p50: stats.latencies.totalMs.p50, p99: stats.latencies.totalMs.p99, count: stats.latencies.totalMs.count },
    counters,
    throttledLately: lately('throttled'),
    letters: stats.queue.deadLetters > 0 ? (backlog?.letters ?? null) : {},
    store: storeOf(stats.store),
    fleet: stats.fleet,
  }
}

/** The windows, and the requests per second of the one that allows the least. */
function quotaOf({ windows, source }) {
  return { windows, source, perSecond: perSecond(windows) }
}

function perSecond(windows) {
  const rates = windows.map(({ requests, perMs, share }) => ((share ?? requests) * 1_000) / perMs)
  return rates.length === 0 ? null : Math.min(...rates)
}

function nextAt({ available, nextInMs }, now) {
  if (available > 0 || nextInMs === null) return null
  return Math.round((now + nextInMs) / ROUND_MS) * ROUND_MS
}

function storeOf(store) {
  if (store === null) return null
  return { recovered: store.recovered, unreadable: store.unreadable, setAside: store.setAside !== null, problem: store.problem }
}

function round(rate) {
  return rate === null ? null : Math.round(rate * 10) / 10
}

/** What the history keeps of `stats()`. */
function sampleOf(stats, oldestMs, now) {
  const { counters, queue, budget, latencies, quota } = stats
  return {
    atMs: now,
    accepted: counters.accepted,
    delivered: counters.delivered,
    requests: counters.requests,
    throttled: counters.throttled,
    deadLetters: counters.deadLetters,
    messages: queue.messages + queue.waiting,
    inFlight: queue.inFlight,
    available: budget.available,
    oldestMs: queue.messages > 0 ? (oldestMs === null ? null : Math.max(0, now - oldestMs)) : 0,
    p50Ms: latencies.totalMs.count > 0 ? latencies.totalMs.p50 : null,
    p99Ms: latencies.totalMs.count > 0 ? latencies.totalMs.p99 : null,
    quotaPerSecond: perSecond(quota.windows),
  }
}

module.exports = { rowOf, sampleOf }
