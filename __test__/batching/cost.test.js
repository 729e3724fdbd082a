'use strict'

// What a batch costs: a server that counts messages, and one that counts requests.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { messages, openArray, openMerge, sendAll, takeBatches, texts, until } = require('./support.js')

const WINDOW_MS = 200
/** Longer than what fits into one takes on the busiest machine. */
const LONG_WINDOW_MS = 10_000
/** What a timer and a busy machine may shift between two readings of one clock in one process. */
const SLACK_MS = 2

/** The most that arrived in any rolling window. */
function most(arrivals, costOf, windowMs) {
  let highest = 0
  for (const [last, { at }] of arrivals.entries()) {
    const inside = arrivals.filter((arrival, index) => index <= last && at - arrival.at < windowMs)
    highest = Math.max(
      highest,
      inside.reduce((sum, arrival) => sum + costOf(arrival), 0),
    )
  }
  return highest
}

const messagesIn = ({ messages }) => (messages[0]?.text?.includes('\n') ? messages[0].text.split('\n').length : messages.length)

for (const [mode, openSender, list] of [
  ['array', openArray, messages(120)],
  ['array in order', openArray, Array.from({ length: 4 }, (_, c) => messages(30, { conversationId: `c${c}`, prefix: `${c}-` })).flat()],
  [
    'merge',
    openMerge,
    Array.from({ length: 4 }, (_, c) =>
      texts(Array(30).fill('x')).map((m) => ({ ...m, id: `${c}${m.id}`, conversationId: `c${c}` })),
    ).flat(),
  ],
]) {
  test(`${mode}: with cost 'message' the server gets N messages a window at most`, async (t) => {
    const { url, arrivals } = await takeBatches(t)
    const batch = { cost: 'message', lingerMs: 0, ...(mode === 'array in order' && { arrayOrdered: true }) }
    const sender = await openSender(t, url, { batch, rateLimit: { requests: 25, perMs: WINDOW_MS } })
    const { receipts } = await sendAll(sender, list)
    assert.equal(receipts.size, 120)
    const highest = most(arrivals, messagesIn, WINDOW_MS - SLACK_MS)
    assert.ok(highest <= 25, `${highest} messages in ${WINDOW_MS} ms`)
    assert.ok(arrivals.length <= 40, `${arrivals.length} requests for 120 messages`)
  })
}

/**
 * A server that allows `allowed` in a fixed window and tells its count, of messages or of requests; two batches are never on
 * the wire together here, since the sender has one connection.
 */
async function counting(t, { unit, family, allowed = 40, windowMs = WINDOW_MS }) {
  let used = 0
  let endsAt = performance.now() + windowMs
  const refused = []
  const server = await takeBatches(t, (arrival) => {
    if (performance.now() >= endsAt) {
      used = 0
      endsAt = performance.now() + windowMs
    }
    const cost = unit === 'message' ? messagesIn(arrival) : 1
    const resetS = `${(endsAt - performance.now()) / 1_000}`
    const fits = used + cost <= allowed
    if (fits) used += cost
    else refused.push(arrival)
    const headers = {
      inin: { 'inin-ratelimit-count': used, 'inin-ratelimit-allowed': allowed, 'inin-ratelimit-reset': resetS },
      x: { 'x-ratelimit-limit': allowed, 'x-ratelimit-remaining': allowed - used, 'x-ratelimit-reset': resetS },
      ietf: {
        'ratelimit-policy': `"default";q=${allowed};w=${Math.ceil(windowMs / 1_000)}`,
        ratelimit: `"default";r=${allowed - used};t=${resetS}`,
      },
    }[family]
    return fits ? { headers } : { status: 429, headers }
  })
  return { ...server, refused }
}

for (const family of ['inin', 'x', 'ietf']) {
  test(`cost 'learn': a count of messages is learned from ${family} headers, and 429s end`, async (t) => {
    const { url, arrivals, refused } = await counting(t, { unit: 'message', family })
    const sender = await openArray(t, url, {
      batch: { cost: 'learn', maxMessages: 8, lingerMs: 0 },
      rateLimit: { requests: 40, perMs: WINDOW_MS },
      connections: { max: 1 },
    })
    const { receipts } = await sendAll(sender, messages(160))
    assert.equal(receipts.size, 160)
    const before = refused.length
    const sentBefore = arrivals.length
    // Once it is known, no window is overrun any more.
    await sendAll(sender, messages(120, { prefix: 'n' }))
    assert.equal(refused.length, before, `${before} refusals of ${sentBefore} before, ${refused.length - before} after`)
    assert.ok(before <= 3, `${before} refusals until it was known`)
  })

  test(`cost 'learn': a count of requests stays a count of requests (${family})`, async (t) => {
    const { url, arrivals, refused } = await counting(t, { unit: 'request', family, windowMs: LONG_WINDOW_MS })
    const sender = await openArray(t, url, {
      batch: { cost: 'learn', maxMessages: 8, lingerMs: 0 },
      rateLimit: { requests: 40, perMs: LONG_WINDOW_MS },
      connections: { max: 1 },
    })
    await sendAll(sender, messages(320))
    assert.deepEqual([arrivals.length, refused.length], [40, 0])
    // All forty were available at once: nothing was charged by the message.
    assert.ok(arrivals.at(-1).at - arrivals[0].at < LONG_WINDOW_MS, 'it had to wait for a second window')
    await until(() => sender.stats().queue.messages === 0)
  })
}
