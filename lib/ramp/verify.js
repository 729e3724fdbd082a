'use strict'

const { Sender } = require('../sender.js')

/** More than two windows of messages: the second and the third have to be kept, too. */
const WINDOWS = 2.2
const MESSAGES_MIN = 10
const CLOSE_TIMEOUT_MS = 2000

/** Sends through a Sender with the recommended setting; `{ rateLimit, sent, throttled }`, where `throttled` should be 0. */
async function verify(options, rateLimit, requests, signal) {
  const sender = await Sender.open({ ...options, store: 'memory', rateLimit })
  const count = Math.max(MESSAGES_MIN, Math.ceil(WINDOWS * rateLimit.requests))
  let sent = 0
  try {
    const one = async () => {
      const { conversation, body, params } = requests.next()
      await sender.send({ conversationId: conversation, body, ...(params && { params }) }, { signal })
      sent++
    }
    await Promise.allSettled(Array.from({ length: count }, one))
    return { rateLimit, messages: count, sent, throttled: sender.stats().counters.throttled }
  } finally {
    await sender.close({ timeoutMs: CLOSE_TIMEOUT_MS })
  }
}

module.exports = { verify }
