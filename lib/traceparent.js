'use strict'

const { shared } = require('./shared.js')

// The W3C `traceparent` of the message that is handed over at this moment. It is no field of a message: what traces
// sets it around the call, which reads the whole message before it returns.
const moment = shared('traceparent', () => ({ current: '' }))

function traceparent() {
  return moment.current
}

/** Runs `handOver` with this traceparent. */
function withTraceparent(text, handOver) {
  const outer = moment.current
  moment.current = text
  try {
    return handOver()
  } finally {
    moment.current = outer
  }
}

module.exports = { traceparent, withTraceparent }
