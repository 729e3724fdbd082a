'use strict'

// The W3C `traceparent` of the message that is handed over at this moment. It is no field of a message: whoever traces
// sets it around the call, which reads the whole message before it returns.
let current = ''

function traceparent() {
  return current
}

/** Runs `handOver` with this traceparent. */
function withTraceparent(text, handOver) {
  const outer = current
  current = text
  try {
    return handOver()
  } finally {
    current = outer
  }
}

module.exports = { traceparent, withTraceparent }
