'use strict'

// The outbox: who goes first, who may come in, who is sent away, and what it says about itself.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { DeliveryError, ExpiredError, QueueFullError, Sender } = require('../../index.js')
const {
  answerJson,
  collect,
  defer,
  event,
  failure,
  ignore,
  message,
  open,
  optionsFor,
  serve,
  simulate,
  textOf,
  until,
} = require('./support.js')

const asyncDispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')
const credentials = { accessToken: 'token' }
const LIMIT_MS = 60_000
const ONE_FOR_LONG = { requests: 1, perMs: 600_000 }

/**
 * A server that holds every answer until `release()`, and then answers at once. `order`: the ids in which they came.
 */
async function holding(t) {
  const order = []
  const held = []
  let holds = true
  const { url } = await serve(t, async (request, response) => {
    order.push(JSON.parse(await textOf(request)).id)
    if (holds) held.push(response)
    else answerJson(response, 200, {})
  })
  const release = () => {
    holds = false
    for (const response of held.splice(0)) answerJson(response, 200, {})
  }
  return { url, order, release }
}

/** A sender with one connection, which the message `first` occupies until `release()`. */
async function occupied(t, options = {}) {
  const server = await holding(t)
  const sender = await open(t, server.url, { credentials, connections: { max: 1 }, ...options })
  const first = ignore(sender.send(message('first')))
  await until(() => server.order.length === 1)
  return { ...server, sender, first }
}

/** A sender whose only request of ten minutes is spent. */
async function spent(t, options = {}) {
  const simulator = await simulate(t)
  const sender = await open(t, simulator, { rateLimit: ONE_FOR_LONG, ...options })
  await sender.send(message('first'))
  return { simulator, sender }
}

const kinds = ({ reasons }) => reasons.map(({ kind }) => kind)

test('higher priority goes first among conversations; inside one the order stays', async (t) => {
  const { sender, order, release, first } = await occupied(t)
  const sends = [
    first,
    sender.send(message('a0', 'a')),
    sender.send(message('a9', 'a', { priority: 9 })),
    sender.send(message('b1', 'b', { priority: 1 })),
    sender.send(message('c-1', 'c', { priority: -1 })),
    sender.send(message('d100', 'd', { priority: 100 })),
    sender.send(message('e-100', 'e', { priority: -100 })),
    sender.send(message('f0', 'f')),
  ]
  await until(() => sender.stats().queue.messages === sends.length)
  release()
  await Promise.all(sends)
  // a9 pulls its lane forward, a0 with it.
  assert.deepEqual(order, ['first', 'd100', 'a0', 'a9', 'b1', 'f0', 'c-1', 'e-100'])
})

test('conversations of equal priority take turns, however long one of them is', async (t) => {
  const { sender, order, release, first } = await occupied(t)
  const sends = [first, ...Array.from({ length: 50 }, (_, index) => sender.send(message(`long${index}`, 'long')))]
  for (const name of ['x', 'y', 'z']) sends.push(sender.send(message(`${name}0`, name)), sender.send(message(`${name}1`, name)))
  await until(() => sender.stats().queue.messages === sends.length)
  release()
  await Promise.all(sends)
  const lastShort = Math.max(...['x1', 'y1', 'z1'].map((id) => order.indexOf(id)))
  assert.ok(lastShort <= 9, `${order.slice(0, 12)}`)
})

test("ordering 'none' sends a conversation's messages side by side", async (t) => {
  const { url, order, release } = await holding(t)
  const sender = await open(t, url, { credentials, ordering: 'none' })
  const sends = Array.from({ length: 5 }, (_, index) => sender.send(message(`m${index}`, 'c')))
  await until(() => order.length === 5)
  release()
  await Promise.all(sends)
})

test('expiresInMs: given up while it waits, with an ExpiredError and a dead letter', async (t) => {
  const { sender, simulator } = await spent(t)
  const told = event(sender, 'deadLetter')
  const error = await failure(sender.send(message('m', 'c', { expiresInMs: 20 })))
  assert.ok(error instanceof ExpiredError)
  assert.deepEqual([error.code, error.messageId], ['EXPIRED', 'm'])
  const letter = await told
  assert.deepEqual([letter.id, letter.reason, letter.attempts, letter.ambiguous, letter.status], ['m', 'expired', 0, false, null])
  assert.deepEqual(
    (await collect(sender.deadLetters())).map(({ id }) => id),
    ['m'],
  )
  assert.equal(simulator.ledger().arrivals, 1)
  assert.equal(sender.stats().queue.messages, 0)
})

test('expiresInMs: what was sent in time is delivered', async (t) => {
  const { url, order, release } = await holding(t)
  const sender = await open(t, url, { credentials })
  const sent = sender.send(message('m', 'c', { expiresInMs: 1_000 }))
  await until(() => order.length === 1)
  // One that waits behind it ends later than it would have.
  assert.equal((await failure(sender.send(message('behind', 'c', { expiresInMs: 1_000 })))).code, 'EXPIRED')
  release()
  assert.equal((await sent).status, 200)
  assert.deepEqual(order, ['m'])
})

test('expiresInMs: one that waits for room was never accepted, so there is no letter', async (t) => {
  const { sender, release, first } = await occupied(t, { queue: { maxMessages: 1 } })
  const error = await failure(sender.send(message('m', 'c', { expiresInMs: 20 })))
  assert.deepEqual([error.name, error.code, error.messageId], ['ExpiredError', 'EXPIRED', 'm'])
  assert.deepEqual(await collect(sender.deadLetters()), [])
  release()
  await first
})

test('notBefore: a Date or milliseconds; it waits, the conversation with it, others do not', async (t) => {
  const { sender, release, order } = await occupied(t, { connections: { max: 10 } })
  release()
  const startedAt = Date.now()
  const far = startedAt + 600_000
  ignore(sender.send(message('far', 'b', { notBefore: new Date(far) })))
  ignore(sender.send(message('behind far', 'b')))
  const at = Date.now() + 400
  const sends = [
    sender.send(message('later', 'c', { notBefore: new Date(at) })).then(() => Date.now()),
    sender.send(message('number', 'g', { notBefore: at })).then(() => Date.now()),
    sender.send(message('behind it', 'c')),
    sender.send(message('other', 'd')),
    sender.send(message('past', 'e', { notBefore: 0 })),
    sender.send(message('long past', 'f', { notBefore: new Date(-1) })),
  ]
  const explained = await sender.explain('far')
  assert.deepEqual(kinds(explained), ['notBefore'])
  // Of two clocks, one may be read later than the other, by no more than has passed.
  const apart = Date.now() - startedAt + 2
  assert.ok(Math.abs(explained.reasons[0].untilMs - far) <= apart, `untilMs ${explained.reasons[0].untilMs - far}`)
  const [deliveredAt, numberAt] = await Promise.all(sends)
  // The wall clock, and the one that timers go by, in whole milliseconds each.
  assert.ok(deliveredAt >= at - 2 && numberAt >= at - 2, `${deliveredAt - at}, ${numberAt - at}`)
  assert.ok(order.indexOf('behind it') > order.indexOf('later'))
  assert.deepEqual([...order].sort(), ['behind it', 'first', 'later', 'long past', 'number', 'other', 'past'])
})

test('an AbortSignal that is aborted already: nothing is accepted', async (t) => {
  const simulator = await simulate(t)
  const sender = await open(t, simulator)
  const reason = new Error('changed my mind')
  for (const operation of ['send', 'enqueue']) {
    assert.equal(await failure(sender[operation](message('m'), { signal: AbortSignal.abort(reason) })), reason)
  }
  assert.equal(sender.stats().counters.accepted, 0)
})

test('an AbortSignal while it is queued: withdrawn at once, a dead letter, the next takes its place', async (t) => {
  const { sender, order, release, first } = await occupied(t)
  const controller = new AbortController()
  const told = event(sender, 'deadLetter')
  const aborted = failure(sender.send(message('m', 'c'), { signal: controller.signal }))
  const behind = sender.send(message('behind', 'c'))
  await until(() => sender.stats().queue.messages === 3)
  controller.abort()
  assert.equal((await aborted).name, 'AbortError')
  const letter = await told
  assert.deepEqual([letter.id, letter.reason, letter.attempts, letter.ambiguous], ['m', 'aborted', 0, false])
  release()
  await Promise.all([first, behind])
  assert.deepEqual(order, ['first', 'behind'])
  await sender.redrive('m')
  await sender.drain()
  assert.deepEqual(order, ['first', 'behind', 'm'])
})

test('an AbortSignal in flight: the promise rejects, the delivery is told by the events', async (t) => {
  const { sender, order, release, first } = await occupied(t, { connections: { max: 2 } })
  const controller = new AbortController()
  const aborted = failure(sender.send(message('m', 'c'), { signal: controller.signal }))
  await until(() => order.length === 2)
  const delivered = event(sender, 'delivered', ({ id }) => id === 'm')
  const reason = new Error('too late')
  controller.abort(reason)
  assert.equal(await aborted, reason)
  const behind = sender.send(message('behind', 'c'))
  assert.deepEqual(kinds(await sender.explain('behind')).includes('lane'), true)
  release()
  assert.equal((await delivered).status, 200)
  await Promise.all([first, behind])
  assert.deepEqual(await collect(sender.deadLetters()), [])
})

test('an AbortSignal in flight, and the request fails: it is not tried again', async (t) => {
  const held = []
  const { url } = await serve(t, (request, response) => {
    request.resume()
    held.push(response)
  })
  const sender = await open(t, url, { credentials })
  const controller = new AbortController()
  const aborted = failure(sender.send(message('m'), { signal: controller.signal }))
  await until(() => held.length === 1)
  const told = event(sender, 'deadLetter')
  controller.abort()
  await aborted
  answerJson(held[0], 503, {})
  const letter = await told
  assert.deepEqual([letter.id, letter.reason, letter.attempts], ['m', 'aborted', 1])
  assert.equal(held.length, 1)
})

test('an AbortSignal while it waits for room', async (t) => {
  const { sender, release, first } = await occupied(t, { queue: { maxMessages: 1 } })
  const controller = new AbortController()
  const aborted = failure(sender.enqueue(message('m'), { signal: controller.signal }))
  await until(() => sender.stats().queue.waiting === 1)
  controller.abort()
  assert.equal((await aborted).name, 'AbortError')
  await until(() => sender.stats().queue.waiting === 0)
  assert.deepEqual(await collect(sender.deadLetters()), [])
  release()
  await first
})

test('one signal for many', async (t) => {
  const { sender, release, first } = await occupied(t)
  const controller = new AbortController()
  const aborted = Array.from({ length: 100 }, (_, index) => failure(sender.send(message(`m${index}`), { signal: controller.signal })))
  await until(() => sender.stats().queue.messages === 101)
  controller.abort()
  await Promise.all(aborted)
  await until(() => sender.stats().queue.messages === 1)
  assert.equal(sender.stats().counters.deadLetters, 100)
  release()
  await first
})

test('the same id while it is in the outbox: sent once, and both get the receipt', async (t) => {
  const { sender, order, release, first } = await occupied(t)
  const sends = [sender.send(message('m')), sender.send({ ...message('m'), body: { id: 'm', text: 'another text' } })]
  assert.deepEqual(await sender.enqueue(message('m')), { id: 'm', duplicate: true })
  await until(() => sender.stats().counters.duplicates === 2)
  release()
  const [one, other] = await Promise.all(sends)
  await first
  assert.deepEqual([one.id, one.status, other.id, other.status], ['m', 200, 'm', 200])
  assert.deepEqual(order, ['first', 'm'])
  const { accepted, delivered, duplicates } = sender.stats().counters
  assert.deepEqual({ accepted, delivered, duplicates }, { accepted: 2, delivered: 2, duplicates: 2 })
})

test('the same id: an abort of one leaves the other', async (t) => {
  const { sender, release, first } = await occupied(t)
  const controller = new AbortController()
  const aborted = failure(sender.send(message('m'), { signal: controller.signal }))
  const other = sender.send(message('m'))
  await until(() => sender.stats().counters.duplicates === 1)
  controller.abort()
  await aborted
  release()
  assert.equal((await other).status, 200)
  await first
})

test('the same id after delivery: known for dedupeMs', async (t) => {
  const simulator = await simulate(t)
  const sender = await open(t, simulator)
  await sender.send(message('m'))
  const again = await sender.send(message('m'))
  assert.deepEqual([again.id, again.status, again.conversationId], ['m', 200, 'conversation of m'])
  assert.deepEqual(await sender.enqueue(message('m')), { id: 'm', duplicate: true })
  assert.equal(simulator.ledger().accepted, 1)
  assert.equal(sender.stats().counters.duplicates, 2)

  const forgetful = await open(t, simulator, { dedupeMs: 0 })
  await forgetful.send(message('n'))
  await forgetful.send(message('n'))
  assert.equal(simulator.ledger().accepted, 3)
  assert.equal(simulator.ledger().duplicates, 1)
})

test('the same id after a dead letter: the same error, until it is redriven or dropped', async (t) => {
  const simulator = await simulate(t, { poisonText: 'text of' })
  const sender = await open(t, simulator)
  const first = await failure(sender.send(message('m')))
  const second = await failure(sender.send(message('m')))
  assert.ok(second instanceof DeliveryError)
  assert.deepEqual({ ...second }, { ...first })
  assert.deepEqual(await sender.enqueue(message('m')), { id: 'm', duplicate: true })
  assert.equal(simulator.ledger().arrivals, 1)
  await simulator.set({ poisonText: null })
  await sender.drop('m')
  assert.equal((await sender.send(message('m'))).status, 200)
})

test('messages without an id get one each', async (t) => {
  const simulator = await simulate(t)
  const sender = await open(t, simulator)
  const same = { conversationId: 'c', body: { text: 'again' } }
  const receipts = await Promise.all([sender.send(same), sender.send(same)])
  assert.notEqual(receipts[0].id, receipts[1].id)
  const { id, duplicate } = await sender.enqueue(same)
  assert.equal(duplicate, false)
  await sender.drain()
  assert.equal(simulator.ledger({ ids: true }).ids[id], 1)
})

test("whenFull 'reject', by count", async (t) => {
  const { sender, release, first } = await occupied(t, { queue: { maxMessages: 2, whenFull: 'reject' } })
  const second = sender.send(message('second'))
  for (const operation of ['send', 'enqueue']) {
    const error = await failure(sender[operation](message('third')))
    assert.ok(error instanceof QueueFullError)
    assert.equal(error.code, 'QUEUE_FULL')
  }
  assert.equal((await failure(sender.request({ method: 'GET', path: '/' }))).code, 'QUEUE_FULL')
  assert.deepEqual(await sender.enqueue(message('second')), { id: 'second', duplicate: true })
  release()
  await Promise.all([first, second])
  assert.equal((await sender.send(message('third'))).status, 200)
})

test("whenFull 'reject', by bytes", async (t) => {
  const { sender, release, first } = await occupied(t, { queue: { maxBytes: 1_024, whenFull: 'reject' } })
  const { bytes } = sender.stats().queue
  assert.equal(bytes, Buffer.byteLength(JSON.stringify(message('first').body)))
  // A string of JSON: two quotes around it.
  const fits = sender.send({ id: 'fits', conversationId: 'c', body: { id: 'fits', pad: 'x'.repeat(1_024 - bytes - 22) } })
  await until(() => sender.stats().queue.messages === 2)
  assert.equal(sender.stats().queue.bytes, 1_024)
  const error = await failure(sender.send({ conversationId: 'd', body: 1 }))
  assert.deepEqual([error.name, error.code], ['QueueFullError', 'QUEUE_FULL'])
  release()
  await Promise.all([first, fits])
})

test('a body that is larger than the whole outbox is wrong, not late', async (t) => {
  const simulator = await simulate(t)
  for (const whenFull of ['wait', 'reject']) {
    const sender = await open(t, simulator, { queue: { maxBytes: 1_024, whenFull } })
    const error = await failure(sender.send({ conversationId: 'c', body: 'x'.repeat(1_023) }))
    assert.deepEqual([error.name, error.code, error.field], ['ConfigError', 'MESSAGE_INVALID', 'body'])
  }
})

test("whenFull 'wait': in the order of their coming, accepted as room comes", async (t) => {
  const { sender, order, release, first } = await occupied(t, { queue: { maxMessages: 2 } })
  const accepted = []
  const ids = ['a', 'b', 'c', 'd']
  const enqueued = ids.map((id) => sender.enqueue(message(id, 'c')).then(() => accepted.push(id)))
  await enqueued[0]
  await until(() => sender.stats().queue.waiting === 3)
  assert.deepEqual(accepted, ['a'])
  const { messages, waiting } = sender.stats().queue
  assert.deepEqual({ messages, waiting }, { messages: 2, waiting: 3 })
  const explained = await sender.explain('c')
  assert.deepEqual([explained.state, kinds(explained)], ['waiting-room', ['capacity']])
  release()
  await Promise.all([first, ...enqueued])
  await sender.drain()
  assert.deepEqual(order, ['first', ...ids])
  assert.deepEqual(accepted, ids)
})

test("whenFull 'wait', by bytes, and a duplicate in the waiting room", async (t) => {
  const { sender, order, release, first } = await occupied(t, { queue: { maxBytes: 1_024 } })
  const large = (id) => ({ id, conversationId: 'c', body: { id, pad: 'x'.repeat(600) } })
  const sends = [sender.send(large('a')), sender.send(large('b')), sender.send(large('b'))]
  await until(() => sender.stats().queue.waiting === 2)
  release()
  const receipts = await Promise.all(sends)
  await first
  assert.deepEqual(
    receipts.map(({ id }) => id),
    ['a', 'b', 'b'],
  )
  assert.deepEqual(order, ['first', 'a', 'b'])
})

test('drain: settles when all that was accepted before it is settled; the event when nothing is left', async (t) => {
  const { sender, release, first } = await occupied(t)
  let empty = 0
  sender.on('drain', () => (empty += 1))
  await sender.enqueue(message('before'))
  const drained = sender.drain()
  const controller = new AbortController()
  const options = { signal: controller.signal }
  const later = failure(sender.send(message('after', undefined, { notBefore: Date.now() + 600_000 }), options))
  await until(() => sender.stats().queue.messages === 3)
  release()
  await Promise.all([first, drained])
  assert.equal(sender.stats().queue.messages, 1)
  assert.equal((await sender.explain('after')).state, 'queued')
  assert.equal(empty, 0)
  controller.abort()
  await later
  await until(() => empty === 1)
})

test('drain: at once when nothing is there, and the event', async (t) => {
  const simulator = await simulate(t)
  const sender = await open(t, simulator)
  await sender.drain()
  await sender.drain({ timeoutMs: 0 })
  let empty = 0
  sender.on('drain', (...args) => {
    assert.deepEqual(args, [])
    empty += 1
  })
  await Promise.all([sender.send(message('a')), sender.send(message('b'))])
  await until(() => empty > 0)
  await sender.send(message('c'))
  await until(() => empty > 1)
})

test('drain: timeoutMs and signal; messages stay', async (t) => {
  const { sender, release, first } = await occupied(t)
  const error = await failure(sender.drain({ timeoutMs: 20 }))
  assert.deepEqual([error.name, error.code, error.undelivered], ['SpillwayError', 'DRAIN_TIMEOUT', 1])
  assert.match(error.message, /20 ms/)
  const controller = new AbortController()
  const aborted = failure(sender.drain({ signal: controller.signal }))
  controller.abort(new Error('enough'))
  assert.equal((await aborted).message, 'enough')
  assert.equal((await failure(sender.drain({ signal: controller.signal }))).message, 'enough')
  for (const timeoutMs of [-1, NaN, '5', Infinity]) {
    assert.equal((await failure(sender.drain({ timeoutMs }))).code, 'MESSAGE_INVALID')
  }
  assert.equal(sender.stats().queue.messages, 1)
  release()
  await first
})

test('close: waits for what is accepted', async (t) => {
  const { sender, order, release, first } = await occupied(t)
  await sender.enqueue(message('m'))
  const closing = sender.close({ timeoutMs: LIMIT_MS })
  assert.equal(sender.close(), closing)
  release()
  assert.deepEqual(await closing, { undelivered: 0 })
  assert.equal((await first).status, 200)
  assert.deepEqual(order, ['first', 'm'])
  for (const operation of [
    () => sender.send(message('x')),
    () => sender.enqueue(message('x')),
    () => sender.request({ method: 'GET', path: '/' }),
    () => sender.drain(),
    () => sender.explain('m'),
    () => sender.redrive('m'),
    () => sender.drop('m'),
    () => sender.deadLetters().next(),
  ]) {
    assert.equal((await failure(operation())).code, 'CLOSED', String(operation))
  }
  assert.equal(sender.stats().counters.delivered, 2)
})

test('close: after timeoutMs it tells what is left, and pending promises reject', async (t) => {
  const { sender, first } = await occupied(t)
  const pending = [first, sender.send(message('a')), sender.send(message('b')), sender.drain()].map(failure)
  assert.deepEqual(await sender.close({ timeoutMs: 20 }), { undelivered: 3 })
  const errors = await Promise.all(pending)
  assert.deepEqual(
    errors.map(({ name, code }) => [name, code]),
    Array(4).fill(['ClosedError', 'CLOSED']),
  )
})

test('one sender closes, another of the organization goes on with its messages', async (t) => {
  const { url, order, release } = await holding(t)
  const options = optionsFor(url, { credentials, connections: { max: 1 } })
  const [one, other] = [await Sender.open(options), await Sender.open(options)]
  defer(t, () => other.close({ timeoutMs: 0 }))
  await one.enqueue(message('first'))
  await one.enqueue(message('second'))
  assert.deepEqual(await one.close({ timeoutMs: 0 }), { undelivered: 2 })
  release()
  await other.drain()
  assert.deepEqual(order, ['first', 'second'])
  assert.equal(other.stats().counters.delivered, 2)
})

test('Symbol.asyncDispose closes, as `await using` does', async (t) => {
  const simulator = await simulate(t)
  const sender = await Sender.open(optionsFor(simulator))
  const sent = sender.send(message('m'))
  await sender[asyncDispose]()
  assert.equal((await sent).status, 200)
  await sender[asyncDispose]()
  assert.equal((await failure(sender.send(message('n')))).code, 'CLOSED')
})

test('explain: lane, connections, in flight', async (t) => {
  const { sender, release, first } = await occupied(t)
  const sends = [
    sender.send(message('behind', 'conversation of first')),
    sender.send(message('third', 'conversation of first')),
    sender.send(message('other')),
  ]
  const third = await sender.explain('third')
  assert.deepEqual([third.state, third.conversationId, third.attempts], ['queued', 'conversation of first', 0])
  const lane = third.reasons.find(({ kind }) => kind === 'lane')
  assert.match(lane.detail, /2 messages/)
  assert.ok(third.ahead >= 2, `ahead ${third.ahead}`)
  assert.deepEqual(kinds(await sender.explain('other')), ['connections'])
  const flying = await sender.explain('first')
  assert.deepEqual([flying.state, flying.reasons, flying.attempts], ['in-flight', [], 1])
  for (const { detail } of third.reasons) assert.ok(detail.length > 5)
  release()
  await Promise.all([first, ...sends])
  const unknown = await failure(sender.explain('first'))
  assert.deepEqual([unknown.name, unknown.code], ['SpillwayError', 'NOT_FOUND'])
})

test('explain: budget, with the time of the next request', async (t) => {
  const { sender } = await spent(t)
  ignore(sender.send(message('m')))
  const explained = await sender.explain('m')
  assert.deepEqual(kinds(explained), ['budget'])
  const { untilMs } = explained.reasons[0]
  const wait = untilMs - Date.now()
  assert.ok(wait > 500_000 && wait <= 600_001, `untilMs in ${wait}`)
  assert.ok(Math.abs(explained.expectedInMs - wait) < LIMIT_MS, `expectedInMs ${explained.expectedInMs}`)
})

test('explain: pause', async (t) => {
  const { url } = await serve(t, (request, response) => {
    request.resume()
    answerJson(response, 429, {}, { 'retry-after': '600' })
  })
  const sender = await open(t, url, { credentials })
  const throttled = event(sender, 'throttled')
  const startedAt = Date.now()
  ignore(sender.send(message('m')))
  const { untilMs } = await throttled
  const explained = await sender.explain('m')
  assert.deepEqual([kinds(explained), explained.attempts], [['pause'], 0])
  // Of two clocks, one may be read later than the other, by no more than has passed.
  assert.ok(Math.abs(explained.reasons[0].untilMs - untilMs) <= Date.now() - startedAt + 2)
  assert.ok(explained.expectedInMs > 600_000 - LIMIT_MS && explained.expectedInMs <= 600_000)
})

test('explain: retry', async (t) => {
  const simulator = await simulate(t, { faults: { status503: 1 } })
  const sender = await open(t, simulator)
  const sent = sender.send(message('m'))
  const explained = await until(async () => {
    const found = await sender.explain('m')
    return kinds(found).includes('retry') && found
  })
  assert.equal(explained.state, 'queued')
  assert.ok(explained.attempts >= 1)
  assert.equal(typeof explained.reasons.find(({ kind }) => kind === 'retry').untilMs, 'number')
  await simulator.set({ faults: { status503: 0 } })
  await sent
})

test('explain: outage', async (t) => {
  const simulator = await simulate(t, { faults: { status503: 1 } })
  const sender = await open(t, simulator, { retry: { maxAttempts: 100 } })
  const opened = event(sender, 'outage')
  const sends = Array.from({ length: 20 }, (_, index) => sender.send(message(`m${index}`)))
  await opened
  sends.push(sender.send(message('late')))
  const explained = await sender.explain('late')
  assert.ok(kinds(explained).includes('outage'), `${kinds(explained)}`)
  await simulator.set({ faults: { status503: 0 } })
  await Promise.all(sends)
})

test('stats: all fields, and what they say', async (t) => {
  const simulator = await simulate(t, { latencyMs: 20 })
  const options = optionsFor(simulator, {
    rateLimit: [
      { requests: 50, perMs: 600_000 },
      { requests: 20, perMs: 400_000 },
    ],
  })
  const sender = await Sender.open(options)
  defer(t, () => sender.close({ timeoutMs: 0 }))
  const before = sender.stats()
  const none = { p50: 0, p99: 0, max: 0, count: 0 }
  const { sinceMs, ...quota } = before.quota
  const { max: most, ...held } = before.process
  assert.deepEqual(Object.keys(held), ['messages', 'bytes', 'deadLetters', 'deadLetterBytes', 'ids'])
  assert.deepEqual(most, { messages: 1e7, bytes: 2 ** 32, deadLetters: 1e6, deadLetterBytes: 2 ** 30, ids: 4e6 })
  assert.ok(Math.abs(Date.now() - sinceMs) < LIMIT_MS, `sinceMs ${sinceMs}`)
  assert.deepEqual(
    { ...before, quota },
    {
      organization: options.organization,
      counters: {
        accepted: 0,
        duplicates: 0,
        delivered: 0,
        deadLetters: 0,
        deadLettersDropped: 0,
        requests: 0,
        retries: 0,
        throttled: 0,
        tokenRequests: 0,
      },
      queue: { messages: 0, bytes: 0, waiting: 0, conversations: 0, inFlight: 0, deadLetters: 0, refused: 0 },
      quota: {
        windows: [
          { requests: 50, perMs: 600_000, why: 'configured', share: null },
          { requests: 20, perMs: 400_000, why: 'configured', share: null },
        ],
        source: 'configured',
      },
      budget: { available: 20, nextInMs: 0 },
      pause: null,
      pauses: [],
      outage: null,
      outages: [],
      tokens: null,
      merging: null,
      fleet: null,
      store: null,
      process: before.process,
      latencies: { queuedMs: none, requestMs: none, totalMs: none },
    },
  )

  await Promise.all(Array.from({ length: 5 }, (_, index) => sender.send(message(`m${index}`, `c${index}`))))
  const { counters, budget, latencies } = sender.stats()
  assert.deepEqual(counters, {
    accepted: 5,
    duplicates: 0,
    delivered: 5,
    deadLetters: 0,
    deadLettersDropped: 0,
    requests: 5,
    retries: 0,
    throttled: 0,
    tokenRequests: 1,
  })
  assert.deepEqual(budget, { available: 15, nextInMs: 0 })
  for (const { p50, p99, max, count } of Object.values(latencies)) {
    assert.equal(count, 5)
    assert.ok(p50 <= p99 && p99 <= max, `${p50} ${p99} ${max}`)
  }
  assert.ok(latencies.requestMs.p50 >= 19, `requestMs ${latencies.requestMs.p50}`)
  assert.ok(latencies.totalMs.max >= latencies.requestMs.max)
  assert.doesNotThrow(() => structuredClone(sender.stats()))
})

test('stats: the budget, spent and on its way back', async (t) => {
  const { sender } = await spent(t)
  const { available, nextInMs } = sender.stats().budget
  assert.equal(available, 0)
  assert.ok(nextInMs > 500_000 && nextInMs <= 600_001, `nextInMs ${nextInMs}`)
})

test('stats: nobody can tell while the whole budget is on the wire', async (t) => {
  const { sender, release, first } = await occupied(t, { rateLimit: ONE_FOR_LONG })
  assert.deepEqual(sender.stats().budget, { available: 0, nextInMs: null })
  release()
  await first
})

test('stats: the budget comes back while nothing happens', async (t) => {
  const simulator = await simulate(t)
  const sender = await open(t, simulator, { rateLimit: { requests: 10, perMs: 300 } })
  await Promise.all(Array.from({ length: 10 }, (_, index) => sender.send(message(`m${index}`))))
  await until(() => sender.stats().budget.available === 10)
  assert.equal(sender.stats().budget.nextInMs, 0)
})

test('stats: the end of a pause is not known while the probe is out', async (t) => {
  const held = []
  let requests = 0
  const { url } = await serve(t, (request, response) => {
    request.resume()
    requests += 1
    if (requests === 1) answerJson(response, 429, {})
    else held.push(response)
  })
  const sender = await open(t, url, { credentials })
  const sent = ignore(sender.send(message('m')))
  await until(() => held.length === 1)
  assert.deepEqual(sender.stats().pause, { reason: 'backoff', untilMs: null, remainingMs: null, nextProbeMs: null })
  answerJson(held[0], 200, {})
  await sent
  assert.equal(sender.stats().pause, null)
})

test('the queue numbers follow messages through', async (t) => {
  const { sender, release, first } = await occupied(t)
  const sends = [first, sender.send(message('a', 'c')), sender.send(message('b', 'c')), sender.send(message('d'))]
  await until(() => sender.stats().queue.messages === 4)
  const { bytes, ...queue } = sender.stats().queue
  assert.deepEqual(queue, { messages: 4, waiting: 0, conversations: 3, inFlight: 1, deadLetters: 0, refused: 0 })
  assert.ok(bytes > 0)
  release()
  await Promise.all(sends)
  assert.deepEqual(sender.stats().queue, { messages: 0, bytes: 0, waiting: 0, conversations: 0, inFlight: 0, deadLetters: 0, refused: 0 })
})

test('params fill the route, and wrong ones are told', async (t) => {
  const paths = []
  const { url } = await serve(t, (request, response) => {
    paths.push(request.url)
    request.resume()
    answerJson(response, 200, {})
  })
  const sender = await open(t, url, { credentials, route: 'conversation' })
  await sender.send({ conversationId: 'a/b', params: { communicationId: 'c d' }, body: {} })
  assert.deepEqual(paths, ['/api/v2/conversations/messages/a%2Fb/communications/c%20d/messages'])
  for (const [params, field] of [
    [undefined, 'params.communicationId'],
    [{}, 'params.communicationId'],
    [{ communicationId: '..' }, 'params.communicationId'],
    [{ communicationId: 'x', other: 'y' }, 'params.other'],
  ]) {
    const error = await failure(sender.send({ conversationId: 'c', params, body: {} }))
    assert.deepEqual([error.name, error.code, error.field], ['ConfigError', 'MESSAGE_INVALID', field])
  }
})

test('under full load a delivery is told soon, though nothing else happens', async (t) => {
  const unanswered = []
  const { url } = await serve(t, (request, response) => {
    request.resume().on('end', () => unanswered.push(response))
  })
  // Nor does the budget come back, which would wake the engine.
  const rateLimit = { requests: 1_000_000, perMs: 60_000 }
  const sender = await open(t, url, { credentials, rateLimit, connections: { max: 64 } })
  let told = 0
  for (let n = 0; n < 200; n++) ignore(sender.send(message(`m-${n}`)).then(() => told++))
  await until(() => unanswered.length === 64)
  // They come close behind one another, and all that follows is more requests.
  for (const response of unanswered.slice(0, 20)) answerJson(response, 200, {})
  await until(() => told === 20)
  await until(() => unanswered.length === 84)
  assert.equal(sender.stats().queue.inFlight, 64)
})
