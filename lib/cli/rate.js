'use strict'

const { UsageError } = require('./usage.js')

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** `{ requests, perMs }` of an option's text such as 100/1s. */
function rate(name, text) {
  const match = /^(\d+)\/(\d+)(ms|s|m|h)$/.exec(text)
  if (!match) throw new UsageError(`${name} must be like 100/1s (N/TIME in ms, s, m or h), got ${JSON.stringify(text)}`)
  return { requests: Number(match[1]), perMs: Number(match[2]) * UNIT_MS[match[3]] }
}

/** The milliseconds of an option's text such as 60s. */
function span(name, text) {
  const match = /^(\d+)(ms|s|m|h)$/.exec(text)
  if (!match) throw new UsageError(`${name} must be like 60s (in ms, s, m or h), got ${JSON.stringify(text)}`)
  return Number(match[1]) * UNIT_MS[match[2]]
}

module.exports = { rate, span, UNIT_MS }
