'use strict'

const { UsageError } = require('./usage.js')

const EXAMPLE = 'like 2026-11-29T22:05:00Z, or its milliseconds since 1970'

/** A time on the command line as epoch milliseconds, between two others. `which` says in words which times are allowed. */
function timeOf(option, text, which, [earliest, latest]) {
  const ms = /^\d+$/.test(text) ? Number(text) : /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : NaN
  if (Number.isSafeInteger(ms) && ms >= earliest && ms <= latest) return ms
  throw new UsageError(`--${option} must be ${which}, ${EXAMPLE}, got ${JSON.stringify(text)}`)
}

/** A time of the past. */
function pastTime(option, text, now = Date.now()) {
  return timeOf(option, text, 'a time that is over', [0, now])
}

/** A time to come, at most 30 days ahead: no pause of ours is longer. */
function timeToCome(option, text, now = Date.now()) {
  return timeOf(option, text, 'a time to come, within 30 days', [now + 1, now + 30 * 86_400_000])
}

module.exports = { pastTime, timeToCome }
