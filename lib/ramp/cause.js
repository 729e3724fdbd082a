'use strict'

const LATENCY_TIMES = 10
const LATENCY_MIN_MS = 250
const LATE_SHARE = 0.2
const LATE_MIN_MS = 30

/**
 * Whether a plateau without refusals was too much all the same: 'latency' where answers came that much later than at the start,
 * 'client' where the requests themselves left late; null else.
 */
function strain({ p99Ms, lateMs, windowMs }, baseMs) {
  if (lateMs > Math.max(LATE_MIN_MS, LATE_SHARE * windowMs)) return 'client'
  if (p99Ms > Math.max(LATENCY_MIN_MS, LATENCY_TIMES * baseMs)) return 'latency'
  return null
}

/** Why a plateau went no further than the one before, with arrivals dropped: answers were waited for, unless requests themselves left late. */
function stall({ lateMs }) {
  return lateMs > LATE_MIN_MS ? 'client' : 'latency'
}

const TEXTS = {
  429: 'the server refused with 429',
  '5xx': 'the server failed: errors of 5xx, or no answer',
  '4xx': 'the server refused the requests themselves (4xx): nothing can be learned of its limit',
  latency: 'the server grew slow before it refused anything',
  client: 'this machine could not keep to the schedule: run the ramp from a faster or idler one',
  'not-reached': 'nothing broke up to --to',
  interrupted: 'it was interrupted',
  requests: 'the budget of requests was spent (--max-requests)',
  minutes: 'the time was over (--max-minutes)',
  tiny: 'the server refused within the first three requests',
}

/** What ended the ramp, as a phrase. */
const causeText = (ended) => TEXTS[ended] ?? ended

module.exports = { causeText, stall, strain }
