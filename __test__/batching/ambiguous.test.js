'use strict'

// Batches whose outcome nobody knows, and batches that travel in parts.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setTimeout: delay } = require('node:timers/promises')

const {
  collect,
  failure,
  ignore,
  idsOf,
  messages,
  openArray,
  openMerge,
  sendAll,
  simulate,
  takeBatches,
  texts,
  until,
} = require('./support.js')

/** Time to send a message, however slow the machine is, before it expires; a test waits for that. */
const EXPIRES_IN_MS = 1_000

const cutFirst = (n) => (arrival, index) => (index < n ? 'cut' : {})

for (const [mode, openSender, list] of [
  ['array', openArray, messages(8)],
  [
    'array in order',
    (t, url, options) => openArray(t, url, { ...options, batch: { arrayOrdered: true } }),
    [...messages(4, { conversationId: 'a', prefix: 'a' }), ...messages(4, { conversationId: 'b', prefix: 'b' })],
  ],
  ['merge', openMerge, texts(['one', 'two', 'three', 'four'])],
]) {
  test(`${mode}: an answer that is cut repeats the same batch, byte for byte, under the same key`, async (t) => {
    const { url, arrivals } = await takeBatches(t, cutFirst(2))
    const sender = await openSender(t, url)
    const { receipts } = await sendAll(sender, list)
    assert.equal(receipts.size, list.length)
    for (const receipt of receipts.values()) assert.deepEqual([receipt.attempts, receipt.batchSize], [3, list.length])
    assert.equal(arrivals.length, 3)
    for (const { body, key, path } of arrivals) assert.deepEqual({ body, key, path }, { ...pick(arrivals[0]) })
    assert.equal(sender.stats().counters.retries, 2)
  })

  test(`${mode}: with ambiguous 'fail' each message of it is given up, and said to be ambiguous`, async (t) => {
    const { url, arrivals } = await takeBatches(t, cutFirst(1))
    const sender = await openSender(t, url, { retry: { ambiguous: 'fail' } })
    const { errors } = await sendAll(sender, list)
    assert.deepEqual(
      [...errors.keys()],
      list.map(({ id }) => id),
    )
    for (const [id, error] of errors) {
      assert.deepEqual(
        { ...error },
        {
          code: 'DELIVERY_AMBIGUOUS',
          reason: 'ambiguous',
          status: null,
          attempts: 1,
          messageId: id,
          ambiguous: true,
        },
      )
    }
    assert.equal((await collect(sender.deadLetters())).length, list.length)
    assert.equal(arrivals.length, 1)
  })
}

const pick = ({ body, key, path }) => ({ body, key, path })

test('other batches have other keys, even if they begin alike', async (t) => {
  const { url, arrivals } = await takeBatches(t, (arrival, n) => (n === 0 ? { status: 503 } : {}))
  const sender = await openArray(t, url, { batch: { maxMessages: 3 }, connections: { max: 1 } })
  const { receipts } = await sendAll(sender, messages(7))
  assert.equal(receipts.size, 7)
  const bodies = new Map()
  for (const { body, key } of arrivals) {
    assert.equal(bodies.get(key) ?? body, body, key)
    bodies.set(key, body)
  }
  // A message alone has its id for a key, as without batches.
  const alone = arrivals.find((arrival) => arrival.messages.length === 1)
  if (alone) assert.equal(alone.key, idsOf(alone)[0])
})

test('who is withdrawn or expires stays in a batch that the server may know', async (t) => {
  const { url, arrivals } = await takeBatches(t, async (arrival, n) => {
    if (n > 0) return {}
    // By then it has expired, whenever it came.
    await delay(EXPIRES_IN_MS + 50)
    return 'cut'
  })
  const sender = await openArray(t, url, { batch: { maxMessages: 4 } })
  const abort = new AbortController()
  const list = messages(4).map((message, index) => (index === 2 ? { ...message, expiresInMs: EXPIRES_IN_MS } : message))
  const sent = sendAll(sender, list, ({ id }) => (id === 'm1' ? { signal: abort.signal } : undefined))
  await until(() => arrivals.length === 1)
  abort.abort(new Error('never mind'))
  const { receipts, errors } = await sent
  assert.deepEqual([...receipts.keys()], ['m0', 'm2', 'm3'])
  assert.equal(errors.get('m1').message, 'never mind')
  await sender.drain()
  assert.deepEqual(arrivals.map(pick), [pick(arrivals[0]), pick(arrivals[0])])
  assert.equal(sender.stats().counters.delivered, 4)
})

test('who is withdrawn or expires leaves a part that waits for the part before it, at once', async (t) => {
  let release
  const released = new Promise((resolve) => (release = resolve))
  const { url, arrivals } = await takeBatches(t, async (arrival, n) => {
    if (n === 1) await released
    return n === 0 ? { status: 413 } : {}
  })
  const sender = await openArray(t, url, { batch: { maxMessages: 8 } })
  const abort = new AbortController()
  const list = messages(8).map((message, index) => (index === 6 ? { ...message, expiresInMs: EXPIRES_IN_MS } : message))
  const sent = list.map((message) => sender.send(message, message.id === 'm5' ? { signal: abort.signal } : undefined))
  const aborted = failure(sent[5])
  const expired = failure(sent[6])
  await until(() => arrivals.length === 2)
  abort.abort(new Error('never mind'))
  assert.equal((await aborted).message, 'never mind')
  await until(async () => (await collect(sender.deadLetters())).some((letter) => letter.id === 'm5' && letter.reason === 'aborted'))
  assert.equal((await expired).code, 'EXPIRED')
  assert.equal(arrivals.length, 2, 'both ended while the first part was on the wire')
  release()
  await Promise.all(sent.filter((_, index) => index !== 5 && index !== 6))
  assert.deepEqual(arrivals.map(idsOf).slice(1), [
    ['m0', 'm1', 'm2', 'm3'],
    ['m4', 'm7'],
  ])
})

test('one poison message among N: at most 2·log2(N)+2 requests, and it alone is a dead letter', async (t) => {
  const simulator = await simulate(t, { poisonText: 'POISON' })
  let before = 0
  for (let count = 2; count <= 64; count++) {
    for (const openSender of [openArray, openMerge]) {
      const poison = ((count * count * 7 + 3 * (count >> 2)) % 101) % count
      const word = (index) => (index === poison ? 'POISON' : `fine ${index}`)
      const list =
        openSender === openArray
          ? messages(count, { text: (id) => word(Number(id.slice(1))) })
          : texts(Array.from({ length: count }, (_, index) => word(index)))
      const sender = await openSender(t, simulator, { batch: { maxMessages: count } })
      const { receipts, errors } = await sendAll(sender, list)
      assert.deepEqual([...errors.keys()], [list[poison].id], `${count}`)
      assert.deepEqual([errors.get(list[poison].id).status, receipts.size], [400, count - 1])
      const { arrivals } = simulator.ledger()
      assert.ok(arrivals - before <= 2 * Math.log2(count) + 2, `${count}: ${arrivals - before} requests`)
      before = arrivals
      await sender.close()
    }
  }
})

test('413s halve a batch, the size that passes is remembered, and a larger one is tried later', async (t) => {
  const simulator = await simulate(t, { maxBodyBytes: 2_000 })
  const sender = await openArray(t, simulator, { batch: { maxMessages: 64, lingerMs: 0 }, connections: { max: 1 } })
  const first = await sendAll(sender, messages(1_000))
  assert.equal(first.receipts.size, 1_000)
  const { statuses, arrivals } = simulator.ledger()
  // 64, 32 and, of the halves of what was on its way, a few more; then one now and then, when a larger size is tried.
  assert.ok(statuses[413] >= 1 && statuses[413] <= 8, `${statuses[413]} of ${arrivals} were too large`)
  const sizes = [...first.receipts.values()].map((receipt) => receipt.batchSize)
  assert.ok(sizes.at(-100) > 16, `${sizes.at(-100)} in a request where about 35 fit`)
  await simulator.set({ maxBodyBytes: null })
  const second = await sendAll(sender, messages(8_000, { prefix: 'n' }))
  const grown = Math.max(...[...second.receipts.values()].map((receipt) => receipt.batchSize))
  assert.ok(grown > Math.max(...sizes.slice(100)), `still ${grown} in a request`)
})

test('a batch that is throttled as a whole keeps its places and spends no attempt', async (t) => {
  const { url, arrivals } = await takeBatches(t, (arrival, n) => (n === 0 ? { status: 429, headers: { 'retry-after': '0.2' } } : {}))
  const sender = await openArray(t, url)
  const { receipts } = await sendAll(sender, messages(6))
  assert.deepEqual(arrivals.map(idsOf), [idsOf(arrivals[0]), idsOf(arrivals[0])])
  assert.ok([...receipts.values()].every((receipt) => receipt.attempts === 1))
})

test('a failed batch goes again as one request', async (t) => {
  const { url, arrivals } = await takeBatches(t, (arrival, n) => (n < 3 ? { status: 503 } : {}))
  const sender = await openMerge(t, url)
  const { receipts } = await sendAll(sender, texts(Array.from({ length: 40 }, (_, index) => `text ${index}`)))
  assert.deepEqual([receipts.size, arrivals.length, sender.stats().counters.retries], [40, 4, 3])
})

test('closing leaves none behind that still can go, and tells of the others', async (t) => {
  const { url, arrivals } = await takeBatches(t, (arrival, n) => (n === 0 ? {} : 'cut'))
  const sender = await openArray(t, url, { batch: { maxMessages: 100, lingerMs: 60_000 }, retry: { maxAttempts: 1_000 } })
  const first = sendAll(sender, messages(5))
  await sender.drain({ timeoutMs: 10_000 })
  assert.equal((await first).receipts.size, 5)
  const second = messages(7, { prefix: 'n' }).map((message) => ignore(sender.send(message)))
  assert.deepEqual(await sender.close({ timeoutMs: 300 }), { undelivered: 7 })
  for (const outcome of await Promise.allSettled(second)) assert.equal(outcome.reason.code, 'CLOSED')
  // What left in that time may reach the server's thread, which is this one, after the answer of close().
  await until(() => arrivals.length >= 2)
  assert.ok(arrivals.slice(1).every((arrival) => arrival.messages.length === 7))
})
