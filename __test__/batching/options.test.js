'use strict'

// What the options of batches do, and which combinations are refused.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { Sender } = require('../../index.js')
const {
  failure,
  idsOf,
  messages,
  open,
  openArray,
  openMerge,
  optionsFor,
  sendAll,
  takeBatches,
  texts,
  TOKEN,
  until,
} = require('./support.js')

const CUSTOM = { path: '/x/{conversationId}', textField: 'text' }

for (const [what, options, field] of [
  ['array on a route that takes none', { route: 'messaging', batch: { mode: 'array' } }, 'batch.mode'],
  ['array on a route of its own that takes none', { route: CUSTOM, batch: { mode: 'array' } }, 'batch.mode'],
  ['merge on a route of arrays', { route: 'messaging-array', batch: { mode: 'merge' } }, 'batch.mode'],
  ['merge on a route without text', { route: 'open-event', batch: { mode: 'merge' } }, 'batch.mode'],
  ['merge without textField', { route: { path: '/x' }, batch: { mode: 'merge' } }, 'batch.mode'],
  ['another mode', { batch: { mode: 'bulk' } }, 'batch.mode'],
  ['maxMessages 0', { batch: { maxMessages: 0 } }, 'batch.maxMessages'],
  ['maxBytes 1023', { batch: { maxBytes: 1_023 } }, 'batch.maxBytes'],
  ['lingerMs 60001', { batch: { lingerMs: 60_001 } }, 'batch.lingerMs'],
  ['arrayOrdered "yes"', { batch: { arrayOrdered: 'yes' } }, 'batch.arrayOrdered'],
  ['textUnits "chars"', { batch: { textUnits: 'chars' } }, 'batch.textUnits'],
  ['cost 2', { batch: { cost: 2 } }, 'batch.cost'],
  ['an unknown key', { batch: { maxCount: 10 } }, 'batch.maxCount'],
  ['array that is no boolean', { route: { ...CUSTOM, array: 1 } }, 'route.array'],
  ['maxTextLength 0', { route: { ...CUSTOM, maxTextLength: 0 } }, 'route.maxTextLength'],
]) {
  test(`refused: ${what}`, async () => {
    const error = await failure(Sender.open(optionsFor('http://127.0.0.1:9', options)))
    assert.deepEqual([error.name, error.code, error.field], ['ConfigError', 'CONFIG_INVALID', field])
  })
}

test('the array route wraps a single message in an array of one, batched or not', async (t) => {
  const { url, arrivals } = await takeBatches(t)
  for (const batch of [{ mode: 'none' }, { mode: 'array', lingerMs: 0 }]) {
    const sender = await openArray(t, url, { batch })
    const receipt = await sender.send({ conversationId: 'c', id: batch.mode, body: { text: 'hi' } })
    assert.deepEqual([arrivals.at(-1).body, arrivals.at(-1).path], ['[{"text":"hi"}]', '/v2/conversations/messages'])
    assert.equal(receipt.batchSize, 1)
  }
})

test('defaults: 10 messages in an array, 1,000 merged', async (t) => {
  const { url, arrivals } = await takeBatches(t, (arrival, n) => ({ delayMs: n === 2 ? 200 : 0 }))
  await sendAll(await openArray(t, url), messages(20))
  assert.deepEqual(
    arrivals.map(({ messages }) => messages.length),
    [10, 10],
  )
  const sender = await openMerge(t, url, { route: { ...CUSTOM, maxTextLength: 1_000_000 } })
  const [first, ...others] = texts(Array.from({ length: 1_101 }, () => 'x'))
  const delivered = sender.send(first)
  await until(() => arrivals.length === 3)
  // All of them wait behind the first, so none has left before the last has come.
  await sendAll(sender, others)
  await delivered
  assert.deepEqual(
    arrivals.slice(3).map(({ messages }) => messages[0].text.split('\n').length),
    [1_000, 100],
  )
})

test('maxBytes is exact, brackets and commas included; what exceeds it by itself is refused', async (t) => {
  const { url, arrivals } = await takeBatches(t)
  const body = (bytes) => ({ t: 'x'.repeat(bytes - '{"t":""}'.length) })
  const send = async (maxBytes, sizes) => {
    const sender = await openArray(t, url, { batch: { maxBytes, maxMessages: 100 } })
    return sendAll(
      sender,
      sizes.map((size, index) => ({ id: `b${index}`, conversationId: `c${index}`, body: body(size) })),
    )
  }
  await send(1_024, [511, 510])
  assert.deepEqual(
    arrivals.map(({ body }) => body.length),
    [1_024],
  )
  await send(1_024, [511, 511])
  assert.deepEqual(
    arrivals.slice(1).map(({ body }) => body.length),
    [513, 513],
  )
  const { receipts, errors } = await send(1_024, [1_022, 1_023, 100])
  assert.deepEqual([[...receipts.keys()], [...errors.keys()]], [['b0', 'b2'], ['b1']])
  const { name, code, field, message } = errors.get('b1')
  assert.deepEqual({ name, code, field }, { name: 'ConfigError', code: 'MESSAGE_INVALID', field: 'body' })
  assert.match(message, /batch\.maxBytes, 1024 bytes in an array of its own, got 1025/)

  const merging = await openMerge(t, url, { batch: { maxBytes: 1_024 } })
  const refused = await failure(merging.send({ conversationId: 'c', body: body(1_025) }))
  assert.deepEqual([refused.code, refused.field], ['MESSAGE_INVALID', 'body'])
  await merging.send({ conversationId: 'c', body: body(1_024) })
})

test('merge: never across other fields, attachments or no text, and in order', async (t) => {
  const { url, arrivals } = await takeBatches(t)
  const sender = await openMerge(t, url)
  const bodies = [
    { from: 'a', text: '1' },
    { from: 'a', text: '2' },
    { from: 'b', text: '3' },
    { from: 'b', text: '4', content: [{}] },
    { from: 'b', text: '5', attachments: [1] },
    { from: 'b', text: '6' },
    { from: 'b' },
    { from: 'b', text: 7 },
    'eight',
    { from: 'b', text: '9' },
    { from: 'b', text: '10', mediaIds: ['x'] },
    { from: 'b', text: '11', content: [] },
    { from: 'b', text: '12', content: [] },
  ]
  const { receipts } = await sendAll(
    sender,
    bodies.map((body, index) => ({ id: `t${index}`, conversationId: 'c', body })),
  )
  assert.equal(receipts.size, bodies.length)
  assert.deepEqual(
    arrivals.map(({ messages }) => messages[0].text ?? messages[0]),
    ['1\n2', '3', '4', '5', '6', { from: 'b' }, 7, 'eight', '9', '10', '11\n12'],
  )
})

for (const [textUnits, fits] of [
  ['utf16', 7],
  ['codepoints', 5],
  ['bytes', 12],
]) {
  test(`merge: a text is as long as its ${textUnits}`, async (t) => {
    for (const [maxTextLength, requests] of [
      [fits, 1],
      [fits - 1, 2],
    ]) {
      const { url, arrivals } = await takeBatches(t)
      const sender = await openMerge(t, url, { route: { ...CUSTOM, maxTextLength }, batch: { textUnits } })
      // With the newline: 7 UTF-16 units, 5 code points, 12 bytes.
      await sendAll(sender, texts(['😀é', '😀x']))
      assert.equal(arrivals.length, requests, `${maxTextLength}`)
    }
  })
}

test('merge: every message has a receipt of its own, with the same answer', async (t) => {
  const { url, arrivals } = await takeBatches(t, () => ({ status: 202, body: { id: 'server' }, headers: { 'inin-correlation-id': 'x' } }))
  const sender = await openMerge(t, url)
  const { receipts } = await sendAll(sender, texts(['a', 'b', 'c']))
  assert.equal(arrivals.length, 1)
  for (const [id, { queuedMs, ...rest }] of receipts) {
    assert.ok(queuedMs >= 0)
    assert.deepEqual(rest, {
      id,
      conversationId: 'c',
      status: 202,
      body: { id: 'server' },
      attempts: 1,
      batchSize: 3,
      correlationId: 'x',
    })
  }
})

test('merge: an idle conversation sends at once; what comes while it is on the wire goes together', async (t) => {
  const { url, arrivals } = await takeBatches(t, (arrival, n) => ({ delayMs: n === 0 ? 200 : 0 }))
  const sender = await openMerge(t, url, { batch: { lingerMs: 60_000 } })
  const first = sender.send(texts(['first'])[0])
  await until(() => arrivals.length === 1)
  await sendAll(sender, texts(['', 'second', 'third', 'fourth']).slice(1))
  await first
  assert.deepEqual(
    arrivals.map(({ messages }) => messages[0].text),
    ['first', 'second\nthird\nfourth'],
  )
})

test('array: at most one message of a conversation, unless its order is kept', async (t) => {
  const list = ['a', 'b'].flatMap((conversationId) => messages(3, { conversationId, prefix: conversationId }))
  const { url, arrivals } = await takeBatches(t)
  await sendAll(await openArray(t, url, { batch: { lingerMs: 0 } }), list)
  assert.deepEqual(arrivals.map(idsOf), [
    ['a0', 'b0'],
    ['a1', 'b1'],
    ['a2', 'b2'],
  ])
  await sendAll(await openArray(t, url, { batch: { lingerMs: 0, arrayOrdered: true } }), list)
  assert.deepEqual(idsOf(arrivals[3]), ['a0', 'b0', 'a1', 'b1', 'a2', 'b2'])
  assert.equal(arrivals.length, 4)
})

test('array: only messages with one path, and of one conversation where the path names it', async (t) => {
  const route = { path: '/bulk/{conversationId}/{kind}', array: true }
  const { url, arrivals } = await takeBatches(t)
  const sender = await openArray(t, url, { route, batch: { lingerMs: 0, arrayOrdered: true } })
  const kinds = ['x', 'x', 'y', 'x']
  const list = ['a', 'b'].flatMap((conversationId) =>
    messages(4, { conversationId, prefix: conversationId }).map((message, index) => ({ ...message, params: { kind: kinds[index] } })),
  )
  await sendAll(sender, list)
  const of = (conversationId) => arrivals.filter(({ path }) => path.includes(`/${conversationId}/`))
  for (const name of ['a', 'b']) {
    assert.deepEqual(of(name).map(idsOf), [[`${name}0`, `${name}1`], [`${name}2`], [`${name}3`]])
    assert.deepEqual(
      of(name).map(({ path }) => path),
      ['x', 'y', 'x'].map((kind) => `/bulk/${name}/${kind}`),
    )
  }
})

test('array: the urgent go first, in one array with others', async (t) => {
  const { url, arrivals } = await takeBatches(t)
  const sender = await openArray(t, url, { batch: { maxMessages: 3 }, connections: { max: 1 } })
  const list = messages(9).map((message, index) => ({ ...message, priority: index % 2 === 0 ? 0 : index }))
  await sendAll(sender, list)
  assert.deepEqual(arrivals.map(idsOf), [
    ['m7', 'm5', 'm3'],
    ['m1', 'm0', 'm2'],
    ['m4', 'm6', 'm8'],
  ])
})

test('array: a request is not held up by messages that wait for company', async (t) => {
  const { url, arrivals } = await takeBatches(t)
  const sender = await openArray(t, url, { batch: { lingerMs: 60_000 } })
  const waiting = sendAll(sender, messages(3))
  const { reasons, expectedInMs } = await sender.explain('m0')
  assert.deepEqual(
    reasons.map(({ kind, detail }) => [kind, detail]),
    [['batch', 'it waits for its batch to fill']],
  )
  assert.ok(reasons[0].untilMs - Date.now() > 50_000 && expectedInMs > 50_000, `${expectedInMs}`)
  const { status } = await sender.request({ method: 'GET', path: '/x' })
  assert.equal(status, 200)
  assert.deepEqual(
    arrivals.map(({ path }) => path),
    ['/x'],
  )
  await sender.drain()
  assert.equal((await waiting).receipts.size, 3)
})

test('array: the linger gathers what comes one by one', async (t) => {
  const { url, arrivals } = await takeBatches(t)
  // The fifth fills the request: nobody waits so long.
  const sender = await openArray(t, url, { batch: { lingerMs: 60_000, maxMessages: 5 } })
  const sent = []
  for (const message of messages(5)) {
    sent.push(sender.send(message))
    await new Promise(setImmediate)
  }
  await Promise.all(sent)
  assert.deepEqual(arrivals.map(idsOf), [['m0', 'm1', 'm2', 'm3', 'm4']])
})

test('ordering none: an array and a merged text hold what waits of one conversation', async (t) => {
  const { url, arrivals } = await takeBatches(t)
  const sender = await open(t, url, {
    credentials: TOKEN,
    route: 'messaging-array',
    ordering: 'none',
    batch: { mode: 'array', maxMessages: 4 },
  })
  await sendAll(sender, messages(8, { conversationId: 'c' }))
  assert.deepEqual(
    arrivals.map(({ messages }) => messages.length),
    [4, 4],
  )
})
