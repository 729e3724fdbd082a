'use strict'

// Answers with a status for each message of an array, in every shape that a server may give them.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { collect, event, idsOf, messages, openArray, sendAll, simulate, takeBatches } = require('./support.js')

const two = (list) => ({ status: 207, body: list })
const OK = { body: { accepted: true } }

test('by id: the message at fault alone is a dead letter, in one request', async (t) => {
  const simulator = await simulate(t, { arrayAnswer: 'list', poisonText: 'POISON' })
  const sender = await openArray(t, simulator)
  const list = messages(10, { text: (id) => (id === 'm3' ? 'POISON' : id) })
  const { receipts, errors } = await sendAll(sender, list)
  assert.deepEqual([...errors.keys()], ['m3'])
  assert.deepEqual([errors.get('m3').code, errors.get('m3').status], ['DELIVERY_REJECTED', 400])
  assert.equal(receipts.size, 9)
  assert.deepEqual(receipts.get('m4').body, { id: 'm4', conversationId: null, status: 200 })
  assert.equal(receipts.get('m4').batchSize, 10)
  assert.equal(simulator.ledger().arrivals, 1)
  const [letter] = await collect(sender.deadLetters())
  assert.deepEqual([letter.id, letter.status, letter.attempts], ['m3', 400, 1])
})

for (const [shape, list] of [
  [
    'by id, in another order',
    [
      { id: 'm1', status: 400 },
      { id: 'm0', status: 200 },
    ],
  ],
  [
    'by messageId beside ids of the server',
    [
      { id: 'x', messageId: 'm1', status: 400 },
      { id: 'y', messageId: 'm0', status: 201 },
    ],
  ],
  ['by position', [{ status: 200 }, { status: 400 }]],
  [
    'by position, with ids of the server',
    [
      { id: 'x', status: 200 },
      { id: 'y', status: 400 },
    ],
  ],
  [
    'with statuses as strings',
    [
      { id: 'm0', status: '200' },
      { id: 'm1', statusCode: '400' },
    ],
  ],
  [
    'inside an object',
    {
      results: [
        { id: 'm0', status: 200 },
        { id: 'm1', status: 400 },
      ],
    },
  ],
  [
    'with an id that nobody sent',
    [
      { id: 'm0', status: 200 },
      { id: 'm9', status: 200 },
      { id: 'm1', status: 400 },
    ],
  ],
]) {
  for (const status of [200, 207]) {
    test(`a list ${shape}, under ${status}`, async (t) => {
      const { url, arrivals } = await takeBatches(t, () => ({ status, body: list }))
      const sender = await openArray(t, url, { batch: { maxMessages: 2 } })
      const { receipts, errors } = await sendAll(sender, messages(2))
      assert.deepEqual([[...receipts.keys()], [...errors.keys()]], [['m0'], ['m1']])
      assert.equal(errors.get('m1').status, 400)
      assert.equal(arrivals.length, 1)
    })
  }
}

for (const [shape, list, unsure] of [
  ['too short', [{ id: 'm0', status: 200 }], ['m1']],
  ['too short, without ids', [{ status: 200 }], ['m0', 'm1']],
  ['too long, without ids', [{ status: 200 }, { status: 200 }, { status: 200 }], ['m0', 'm1']],
  ['empty', [], ['m0', 'm1']],
  ['no list at all', 'gone', ['m0', 'm1']],
  [
    'with an id twice and two statuses',
    [
      { id: 'm0', status: 200 },
      { id: 'm0', status: 500 },
      { id: 'm1', status: 200 },
    ],
    ['m0'],
  ],
  ['with one entry without status', [{ id: 'm0', status: 200 }, { id: 'm1' }], ['m1']],
  [
    'with a status that is none',
    [
      { id: 'm0', status: 200 },
      { id: 'm1', status: 7 },
    ],
    ['m1'],
  ],
]) {
  test(`a list ${shape}: what it does not tell about is sent again, and nothing else`, async (t) => {
    const { url, arrivals } = await takeBatches(t, (arrival, n) => (n === 0 ? two(list) : OK))
    const sender = await openArray(t, url, { batch: { maxMessages: 2, lingerMs: 0 } })
    const { receipts } = await sendAll(sender, messages(2))
    assert.deepEqual([...receipts.keys()], ['m0', 'm1'])
    assert.deepEqual(arrivals.slice(1).flatMap(idsOf).sort(), unsure)
    for (const id of unsure) assert.equal(receipts.get(id).attempts, 2)
  })

  test(`a list ${shape}: with ambiguous 'fail' what it does not tell about is given up`, async (t) => {
    const { url, arrivals } = await takeBatches(t, () => two(list))
    const sender = await openArray(t, url, { batch: { maxMessages: 2 }, retry: { ambiguous: 'fail' } })
    const { errors } = await sendAll(sender, messages(2))
    assert.deepEqual([...errors.keys()], unsure)
    for (const error of errors.values()) assert.deepEqual([error.code, error.ambiguous], ['DELIVERY_AMBIGUOUS', true])
    assert.equal(arrivals.length, 1)
  })
}

test('a list that is cut in the middle leaves every outcome unknown: the same batch again', async (t) => {
  const list = JSON.stringify(Array.from({ length: 4 }, (_, index) => ({ id: `m${index}`, status: 200 })))
  const { url, arrivals } = await takeBatches(t, (arrival, n) =>
    n === 0 ? { ...two(list), headers: { 'content-length': list.length }, cutAfter: 40 } : two(list),
  )
  const sender = await openArray(t, url, { batch: { maxMessages: 4 } })
  const { receipts } = await sendAll(sender, messages(4))
  assert.equal(receipts.size, 4)
  assert.equal(arrivals.length, 2)
  assert.deepEqual([arrivals[1].body, arrivals[1].key], [arrivals[0].body, arrivals[0].key])
})

test('a list of many long entries is read to its end', async (t) => {
  const filler = 'x'.repeat(2_000)
  const { url, arrivals } = await takeBatches(t, (arrival) =>
    two(arrival.messages.map(({ id }) => ({ id, status: id === 'm99' ? 400 : 200, filler }))),
  )
  const sender = await openArray(t, url, { batch: { maxMessages: 100 } })
  const { receipts, errors } = await sendAll(sender, messages(100))
  assert.deepEqual([receipts.size, [...errors.keys()], arrivals.length], [99, ['m99'], 1])
})

test('partial 429: only the refused go again, after a pause, and it is told', async (t) => {
  const pauseMs = 300
  const { url, arrivals } = await takeBatches(t, (arrival, n) =>
    n === 0 ? { ...two([200, 429, 200, 429].map((status) => ({ status }))), headers: { 'retry-after': `${pauseMs / 1_000}` } } : OK,
  )
  const sender = await openArray(t, url, { batch: { maxMessages: 4, lingerMs: 0 } })
  const throttled = event(sender, 'throttled')
  const { receipts } = await sendAll(sender, messages(4))
  assert.deepEqual(
    [...receipts.values()].map((receipt) => receipt.attempts),
    [1, 1, 1, 1],
  )
  assert.deepEqual(arrivals.map(idsOf), [
    ['m0', 'm1', 'm2', 'm3'],
    ['m1', 'm3'],
  ])
  const { reason, pauseMs: told } = await throttled
  assert.deepEqual([reason, told], ['retry-after', pauseMs])
  const waited = arrivals[1].at - arrivals[0].at
  assert.ok(waited >= pauseMs, `only ${waited} ms`)
  assert.equal(sender.stats().counters.throttled, 1)
})

test('partial 503: only the failed go again, and an attempt is spent', async (t) => {
  const { url, arrivals } = await takeBatches(t, (arrival, n) => (n === 0 ? two([{ status: 503 }, { status: 200 }, { status: 200 }]) : OK))
  const sender = await openArray(t, url, { batch: { maxMessages: 3, lingerMs: 0 } })
  const { receipts } = await sendAll(sender, messages(3))
  assert.deepEqual(arrivals.slice(1).map(idsOf), [['m0']])
  assert.deepEqual(
    [...receipts.values()].map((receipt) => receipt.attempts),
    [2, 1, 1],
  )
})

for (const status of [408, 500, 502, 504, 520, 599]) {
  test(`partial ${status}: the failed may have been processed, and 'ambiguous' decides`, async (t) => {
    const list = two([{ status }, { status: 200 }, { status: 503 }])
    const retried = await takeBatches(t, (arrival, n) => (n === 0 ? list : OK))
    const sender = await openArray(t, retried.url, { batch: { maxMessages: 3, lingerMs: 0 } })
    const { receipts } = await sendAll(sender, messages(3))
    assert.deepEqual(
      [...receipts.values()].map((receipt) => receipt.attempts),
      [2, 1, 2],
    )

    const once = await takeBatches(t, (arrival, n) => (n === 0 ? list : OK))
    const strict = await openArray(t, once.url, { batch: { maxMessages: 3, lingerMs: 0 }, retry: { ambiguous: 'fail' } })
    const { receipts: delivered, errors } = await sendAll(strict, messages(3))
    assert.deepEqual([...delivered.keys()].sort(), ['m1', 'm2'])
    const { code, status: told, ambiguous } = errors.get('m0')
    assert.deepEqual([code, told, ambiguous], ['DELIVERY_AMBIGUOUS', status, true])
    assert.deepEqual(once.arrivals.slice(1).flatMap(idsOf), ['m2'])
  })
}

test('partial 400, 401, 404 and 413: each a dead letter with its own status', async (t) => {
  const statuses = [400, 200, 401, 404, 413]
  const { url, arrivals } = await takeBatches(t, () => two(statuses.map((status, n) => ({ status, why: `because ${n}` }))))
  const sender = await openArray(t, url, { batch: { maxMessages: 5 } })
  const { receipts, errors } = await sendAll(sender, messages(5))
  assert.deepEqual([...receipts.keys()], ['m1'])
  assert.deepEqual(
    [...errors.values()].map((error) => error.status),
    [400, 401, 404, 413],
  )
  assert.deepEqual(errors.get('m4').response, { status: 413, why: 'because 4' })
  assert.equal(arrivals.length, 1)
})
