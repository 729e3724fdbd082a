'use strict'

// The recorded peak as one backlog, in each mode, against the simulator. Figures are counted in requests, not in time.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { open, openArray, openMerge, peak, sendAll, simulate } = require('./support.js')

/** Ten times the quota of 100 a second in a tenth of the time: the same figures sooner. */
const RATE = { requests: 100, perMs: 100 }

function whole({ id, conversationId, seq, type, from, text }) {
  return { id, conversationId, body: { id, conversationId, seq, type, from, text } }
}

function mergeable({ id, conversationId, type, from, text }) {
  return { id, conversationId, body: { type, from, text } }
}

async function run(t, openSender, list, { onSent = () => {}, ...options } = {}) {
  const simulator = await simulate(t, {
    quota: { ...RATE, algorithm: 'sliding-log' },
    latencyMs: { min: 0, max: 3 },
    authRequired: false,
  })
  const sender = await openSender(t, simulator, { rateLimit: RATE, ...options })
  const sent = sendAll(sender, list)
  await onSent(sender)
  const { receipts, errors } = await sent
  assert.equal(errors.size, 0)
  assert.equal(receipts.size, list.length)
  const ledger = simulator.ledger()
  assert.deepEqual([ledger.refused, ledger.orderViolations, ledger.duplicates], [0, 0, 0])
  assert.equal(ledger.maxInFlightPerConversation, 1)
  assert.ok(ledger.mostInWindow <= RATE.requests, `${ledger.mostInWindow} in a window`)
  assert.equal(ledger.arrivals, sender.stats().counters.requests)
  return { ledger, receipts, perRequest: list.length / ledger.arrivals }
}

test('none: one request a message', async (t) => {
  const { perRequest, receipts } = await run(t, open, peak().slice(0, 1_000).map(whole))
  assert.equal(perRequest, 1)
  assert.ok([...receipts.values()].every((receipt) => receipt.batchSize === 1))
})

for (const arrayOrdered of [false, true]) {
  test(`array of 10${arrayOrdered ? ', its order kept' : ''}: at least 9.5 messages a request`, async (t) => {
    const { perRequest, receipts, ledger } = await run(t, openArray, peak().map(whole), { batch: { arrayOrdered } })
    t.diagnostic(`${perRequest.toFixed(2)} messages a request`)
    assert.ok(perRequest >= 9.5, `${perRequest} messages a request`)
    assert.equal(ledger.uniqueIds, peak().length)
    assert.ok([...receipts.values()].every((receipt) => receipt.batchSize >= 1 && receipt.batchSize <= 10))
  })
}

const isBlank = (text) => text.trim() === ''

/** The fewest requests that these texts fit into, in their order and none of them split; blank ones travel alone. */
function fewest(texts, lengthMax) {
  let requests = 0
  let length = Infinity
  for (const text of texts) {
    length += 1 + text.length
    if (length <= lengthMax && !isBlank(text)) continue
    requests++
    length = isBlank(text) ? Infinity : text.length
  }
  return requests
}

// With 2,000 characters two of the 629 conversations of the shared peak, whose texts of over 1,900 characters stand between
// short ones, can't do with ceil(characters / 2,000) + 1 in any way that keeps their order: they get the fewest possible.
for (const maxTextLength of [2_000, 4_000]) {
  test(`merge: texts that wait leave in the fewest requests of ${maxTextLength} characters`, async (t) => {
    const list = peak().map(mergeable)
    let release
    const accepted = new Promise((resolve) => (release = resolve))
    const { receipts, perRequest } = await run(t, openMerge, list, {
      // Without a token all of it waits.
      credentials: { accessToken: () => accepted.then(() => 'token') },
      route: { path: '/api/v2/messaging/conversations/{conversationId}/messages', textField: 'text', maxTextLength },
      onSent: async (sender) => {
        while (sender.stats().queue.messages < list.length) await new Promise(setImmediate)
        release()
      },
    })
    const requests = new Map()
    const texts = new Map()
    for (const { id, conversationId, text } of peak()) {
      requests.set(conversationId, (requests.get(conversationId) ?? new Set()).add(receipts.get(id).correlationId))
      texts.set(conversationId, [...(texts.get(conversationId) ?? []), text])
    }
    let over = 0
    for (const [conversationId, made] of requests) {
      const own = texts.get(conversationId)
      const characters = own.reduce((sum, text) => sum + text.length, 0)
      // A blank text is one more, and parts those before it from those behind.
      const most = Math.ceil(characters / maxTextLength) + 1 + 2 * own.filter(isBlank).length
      assert.equal(made.size, fewest(own, maxTextLength), `${conversationId}: ${own.map((text) => text.length)}`)
      over += made.size > most
    }
    t.diagnostic(`${perRequest.toFixed(2)} messages a request; ${over} of ${requests.size} conversations over the bound`)
    assert.ok(over <= (maxTextLength === 2_000 ? 2 : 0), `${over} conversations took more than their characters need`)
  })
}

test('with 413s, lists and a poison message among them, every mode delivers the rest once and in order', async (t) => {
  const rows = peak().slice(0, 1_500)
  const poison = rows[700]
  for (const [openSender, shape, batch] of [
    [openArray, whole, { maxMessages: 100 }],
    [openArray, whole, { maxMessages: 100, arrayOrdered: true }],
    [openMerge, mergeable, {}],
  ]) {
    for (const arrayAnswer of ['status', 'list']) {
      const simulator = await simulate(t, {
        maxBodyBytes: 8_000,
        poisonText: 'POISON',
        arrayAnswer,
        faults: { status503: 0.03, cutBefore: 0.02, cutAfter: 0.02 },
      })
      const sender = await openSender(t, simulator, { batch })
      const list = rows.map((row) => shape(row === poison ? { ...row, text: 'POISON' } : row))
      const { receipts, errors } = await sendAll(sender, list)
      const told = `${batch.arrayOrdered ?? openSender.name} ${arrayAnswer}`
      assert.deepEqual([...errors.keys()], [poison.id], told)
      assert.deepEqual([errors.get(poison.id).code, errors.get(poison.id).status], ['DELIVERY_REJECTED', 400], told)
      assert.equal(receipts.size, list.length - 1, told)
      const { orderViolations, maxInFlightPerConversation, statuses } = simulator.ledger()
      assert.deepEqual([orderViolations, maxInFlightPerConversation], [0, 1], told)
      if (openSender === openArray) assert.ok(statuses[413] > 0, told)
    }
  }
})
