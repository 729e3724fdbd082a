'use strict'

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')
const { afterEach, beforeEach, test } = require('node:test')
const { setImmediate: nextTurn } = require('node:timers/promises')

const { use } = require('../../lib/load.js')
const { asyncDispose } = require('../../lib/dispose.js')
const { Sender } = require('../../lib/sender.js')
const { FakeSender, FakeWaker } = require('./fake-binding.js')

const message = { conversationId: 'c', body: { text: 'hi' } }

let sender
let core

async function open(options = { organization: 'acme' }) {
  const opened = await Sender.open(options)
  return [opened, FakeSender.opened.at(-1)]
}

beforeEach(async () => {
  use({ NativeWaker: FakeWaker, NativeSender: FakeSender })
  ;[sender, core] = await open()
  core.answers.close = () => ['ok', { undelivered: 0 }]
})

afterEach(() => sender.close())

test('open passes the options on and reports what the core refuses', async () => {
  assert.deepEqual(core.settings, { organization: 'acme' })
  FakeSender.refusal = '{"code":"CONFIG_INVALID","field":"retry.maxAttempts","message":"retry.maxAttempts must be an integer"}'
  try {
    await assert.rejects(Sender.open({}), {
      name: 'ConfigError',
      code: 'CONFIG_INVALID',
      field: 'retry.maxAttempts',
      message: 'retry.maxAttempts must be an integer',
    })
  } finally {
    FakeSender.refusal = null
  }
  await assert.rejects(Sender.open('acme'), { name: 'ConfigError', message: 'options must be an object, got "acme"' })
  assert.throws(() => new Sender(), /await Sender\.open/)
})

test('the messages of one tick cross together, and settle each on its own', async () => {
  const sends = [sender.send(message), sender.enqueue({ ...message, id: 'b' }), sender.send({ ...message, id: 'c' })]
  await nextTurn()
  assert.equal(core.frames.length, 1)
  assert.deepEqual(
    core.messages.map(({ id, flags }) => [id, flags]),
    [
      ['', 0],
      ['b', 1],
      ['c', 0],
    ],
  )
  const [a, b, c] = core.messages.map(({ ticket }) => ticket)
  core.complete([c, 'ok', { id: 'c' }], [a, 'err', { code: 'EXPIRED', message: 'expired' }], [b, 'ok', { id: 'b', duplicate: true }])
  await assert.rejects(sends[0], { name: 'ExpiredError', message: 'expired' })
  assert.deepEqual(await sends[1], { id: 'b', duplicate: true })
  assert.deepEqual(await sends[2], { id: 'c' })
})

test('acceptances share a row, and receipts cross as their fields', async () => {
  const controller = new AbortController()
  const enqueued = ['a', 'b', 'c', 'd'].map((id) =>
    sender.enqueue({ ...message, id }, id === 'c' ? { signal: controller.signal } : undefined),
  )
  const sent = [sender.send(message), sender.send(message)]
  await nextTurn()
  const [a, b, c, d, e, f] = core.messages.map(({ ticket }) => ticket)
  controller.abort()
  core.complete(
    [0, 'accepted', c, 'c', a, 'a', d, 'd'],
    [b, 'duplicate', 'b'],
    [e, 202, 'e', 'lane', { id: 1 }, 1, 1, 0.125, 'correlation', 0],
    [f, 200, 'f', 'lane', null, 2, 3, 7, null, 1],
  )
  await assert.rejects(enqueued[2], { name: 'AbortError' })
  enqueued.splice(2, 1)
  assert.deepEqual(await Promise.all(enqueued), [
    { id: 'a', duplicate: false },
    { id: 'b', duplicate: true },
    { id: 'd', duplicate: false },
  ])
  const fields = {
    conversationId: 'lane',
    status: 202,
    body: { id: 1 },
    attempts: 1,
    batchSize: 1,
    queuedMs: 0.125,
    correlationId: 'correlation',
  }
  assert.deepEqual(await Promise.all(sent), [
    { id: 'e', ...fields },
    { id: 'f', ...fields, status: 200, body: null, attempts: 2, batchSize: 3, queuedMs: 7, correlationId: null, duplicate: true },
  ])
})

test('completions beyond one turn of the event loop are taken in the next', async () => {
  const settled = []
  const sent = [1, 2, 3].map((n) => sender.send(message).then(() => settled.push(n)))
  await nextTurn()
  const [a, b, c] = core.messages.map(({ ticket }) => ticket)
  const turns = [
    [
      [a, 'ok', null],
      [0, 'more'],
    ],
    [
      [b, 'ok', null],
      [0, 'more'],
    ],
    [[c, 'ok', null]],
  ]
  core.take = () => JSON.stringify(turns.shift())
  core.wake()
  await null
  assert.deepEqual([settled, turns.length], [[1], 2])
  await Promise.all(sent)
  assert.deepEqual([settled, turns.length], [[1, 2, 3], 0])
  delete core.take
})

test("what can't be taken, and a row that throws, keep nothing else back", async () => {
  const sent = [1, 2, 3].map(() => sender.send(message))
  await nextTurn()
  const [a, b, c] = core.messages.map(({ ticket }) => ticket)
  const turns = [
    () => {
      throw new Error('too long for a string')
    },
    () => 'no JSON',
    () => JSON.stringify([[a, 'ok', 'a'], null, [b, 'ok', 'b'], null, [0, 'more']]),
    () => JSON.stringify([[c, 'ok', 'c']]),
  ]
  core.take = () => turns.shift()()
  const uncaught = []
  process.setUncaughtExceptionCaptureCallback(({ name, message }) => uncaught.push(name === 'Error' ? message : name))
  try {
    core.wake()
    assert.deepEqual(await Promise.all(sent), ['a', 'b', 'c'])
    await nextTurn()
    assert.deepEqual(uncaught, ['too long for a string', 'SyntaxError', 'TypeError', 'TypeError'])
  } finally {
    process.setUncaughtExceptionCaptureCallback(null)
    delete core.take
  }
})

test('a large frame crosses at once', async () => {
  const sends = [1, 2, 3].map(() => sender.send({ ...message, body: 'x'.repeat(50_000) }))
  assert.equal(core.frames.length, 1)
  assert.equal(core.messages.length, 2)
  await nextTurn()
  assert.equal(core.messages.length, 3)
  core.complete(...core.messages.map(({ ticket }) => [ticket, 'ok', null]))
  await Promise.all(sends)
})

test('an error has the stack of its caller', async () => {
  const calls = {
    send: () => sender.send(message),
    enqueue: () => sender.enqueue(message),
    request: () => sender.request({ method: 'GET', path: '/x' }),
    explain: () => sender.explain('a'),
  }
  core.answers.explain = () => ['err', { code: 'QUEUE_FULL', message: 'full' }]
  for (const [name, call] of Object.entries(calls)) {
    async function caller() {
      await call()
    }
    async function callerOfMany() {
      await Promise.all([call(), call()])
    }
    for (const outer of [caller, callerOfMany]) {
      const called = outer().catch((error) => error)
      await nextTurn()
      const tickets = [...core.messages, ...core.requests].map(({ ticket }) => ticket)
      core.complete(...tickets.map((ticket) => [ticket, 'err', { code: 'QUEUE_FULL', message: 'full' }]))
      const { stack } = await called
      assert.match(stack, /^QueueFullError: full\n\s+at /, name)
      assert.doesNotMatch(stack, /lib.completions\.js/, `${name}: ours alone: ${stack}`)
      assert.match(stack, new RegExp(`\n\\s+at async ${outer.name} `), `${name}: ${stack}`)
    }
  }
})

test('an error of the arguments has the stack of its caller', async () => {
  async function caller() {
    await sender.send({})
  }
  const { stack } = await caller().catch((error) => error)
  assert.match(stack, /^ConfigError: conversationId must be .*\n[\s\S]*\n\s+at Sender\.send .*\n\s+at caller /)
})

test('bad messages and options reject, and nothing crosses', async () => {
  const rule = (field, message) => ({ name: 'ConfigError', code: 'MESSAGE_INVALID', field, message })
  await assert.rejects(sender.send({}), rule('conversationId', /^conversationId must be/))
  await assert.rejects(sender.enqueue(null), rule('message', 'message must be an object, got null'))
  await assert.rejects(sender.send(message, null), rule('options', 'options must be an object, got null'))
  await assert.rejects(sender.send(message, { sgnal: 1 }), rule('sgnal', '"sgnal" is not a key of options; allowed are signal'))
  for (const [signal, got] of [
    [null, 'null'],
    ['x', '"x"'],
    [{}, 'an object'],
    [{ aborted: false }, 'an object'],
  ]) {
    await assert.rejects(sender.send(message, { signal }), rule('signal', `signal must be an AbortSignal, got ${got}`))
    await assert.rejects(sender.drain({ signal }), rule('signal', `signal must be an AbortSignal, got ${got}`))
  }
  const wait = 'timeoutMs must be a number of milliseconds from 0 to 2592000000 (30 days)'
  for (const [timeoutMs, got] of [
    [-1, '-1'],
    [NaN, 'NaN'],
    [Infinity, 'Infinity'],
    ['1', '"1"'],
    [null, 'null'],
  ]) {
    await assert.rejects(sender.drain({ timeoutMs }), rule('timeoutMs', `${wait}, got ${got}`))
    await assert.rejects(sender.close({ timeoutMs }), rule('timeoutMs', `${wait}, got ${got}`))
  }
  await assert.rejects(sender.close({ timeout: 1 }), rule('timeout', '"timeout" is not a key of options; allowed are timeoutMs'))
  for (const op of ['explain', 'redrive', 'drop']) {
    await assert.rejects(sender[op](''), rule('id', 'id must be a non-empty string of at most 256 UTF-8 bytes, got ""'))
  }
  await assert.rejects(sender.request({ method: 'GET' }), rule('path', /^path must be/))
  assert.deepEqual([core.frames, core.requests, core.ops], [[], [], []])
})

test('a submit that fails rejects its messages and no others', async () => {
  core.submitError = new Error('broken')
  const sends = [sender.send(message), sender.send(message)]
  for (const send of sends) await assert.rejects(send, { name: 'SpillwayError', message: 'the core failed: broken' })
  core.submitError = new Error('{"code":"CLOSED","message":"gone"}')
  await assert.rejects(sender.send(message), { name: 'ClosedError', message: 'gone' })
})

test('an abort while the submit of its messages fails settles each once', async () => {
  const controller = new AbortController()
  const { signal } = controller
  const sends = [sender.send(message, { signal }), sender.send(message, { signal })]
  core.submitError = new Error('broken')
  const uncaught = []
  process.setUncaughtExceptionCaptureCallback((error) => uncaught.push(error))
  try {
    controller.abort()
    await assert.rejects(sends[0], { name: 'AbortError' })
    await assert.rejects(sends[1], { name: 'SpillwayError', message: 'the core failed: broken' })
    await nextTurn()
    assert.deepEqual(uncaught, [])
    assert.equal(core.op('cancel').length, 1)
  } finally {
    process.setUncaughtExceptionCaptureCallback(null)
  }
})

test('request crosses as a head and a body', async () => {
  const answer = { status: 200, headers: { 'content-type': 'application/json' }, body: { a: 1 } }
  const asked = sender.request({ method: 'PUT', path: '/a', body: { b: 2 }, timeoutMs: 5 })
  const [{ ticket, head, body }] = core.requests
  assert.deepEqual(head, {
    method: 'PUT',
    path: '/a',
    headers: { 'content-type': 'application/json' },
    timeoutMs: 5,
    maxResponseBytes: 8_388_608,
  })
  assert.equal(body.toString(), '{"b":2}')
  const { body: _, ...rest } = answer
  core.bodies.set(ticket, Buffer.from('{"a":1}'))
  core.complete([ticket, 'answer', rest, 'json'])
  assert.deepEqual(await asked, answer)

  const refused = sender.request({ method: 'GET', path: '/a' })
  core.bodies.set(core.requests[1].ticket, Buffer.from('gone'))
  core.complete([core.requests[1].ticket, 'err', { code: 'DELIVERY_REJECTED', message: 'no', status: 404 }, 'json'])
  await assert.rejects(refused, { name: 'DeliveryError', status: 404, response: 'gone' })
})

test('a body is read as its row says', async () => {
  const table = [
    ['json', '{"a":1e400,"b":-0,"c":12345678901234567890,"c":"\\ud83d"}', { a: Infinity, b: -0, c: '\ud83d' }],
    ['json', '\ufeff[1]', [1]],
    ['json', Buffer.from([0x22, 0xff, 0x22]), '\ufffd'],
    ['json', '{"a":', '{"a":'],
    ['json', ' ', ' '],
    ['json', '', null],
    ['json', '\0', '\0'],
    ['text', '{}', '{}'],
    ['text', '\ufefftext', 'text'],
    ['text', '', null],
    ['bytes', Buffer.from([0xff]), Buffer.from([0xff])],
  ]
  for (const [reading, bytes, expected] of table) {
    const asked = sender.request({ method: 'GET', path: '/a' })
    const { ticket } = core.requests.at(-1)
    core.bodies.set(ticket, Buffer.from(bytes))
    core.complete([ticket, 'answer', { status: 200, headers: {} }, reading])
    assert.deepEqual((await asked).body, expected)
  }
  const own = sender.request({ method: 'GET', path: '/a' })
  core.bodies.set(core.requests.at(-1).ticket, Buffer.from('{"__proto__":{"a":1}}'))
  core.complete([core.requests.at(-1).ticket, 'answer', { status: 200, headers: {} }, 'json'])
  const { body } = await own
  assert.deepEqual([Object.keys(body), Object.getPrototypeOf(body)], [['__proto__'], Object.prototype])
})

test('a body that nobody waits for is taken all the same, and read by nobody', async () => {
  const abort = new AbortController()
  const asked = sender.request({ method: 'GET', path: '/a' }, { signal: abort.signal })
  const { ticket } = core.requests[0]
  abort.abort()
  await assert.rejects(asked, { name: 'AbortError' })
  const parse = JSON.parse
  const parsed = []
  JSON.parse = (text) => (parsed.push(text), parse(text))
  try {
    core.bodies.set(ticket, Buffer.from('{"a":1}'))
    core.complete([ticket, 'answer', { status: 200, headers: {} }, 'json'])
    const failed = sender.request({ method: 'GET', path: '/b' })
    core.bodies.set(core.requests[1].ticket, Buffer.from('{}'))
    core.complete([core.requests[1].ticket, 'err', { code: 'DELIVERY_REJECTED', message: 'no' }, 'json'])
    await assert.rejects(failed, { response: {} })
  } finally {
    JSON.parse = parse
  }
  assert.equal(core.bodies.size, 0)
  assert.ok(!parsed.includes('{"a":1}') && parsed.includes('{}'))
})

test('a closed sender keeps no answers', async () => {
  core.answers.close = () => ['ok', { undelivered: 0 }]
  assert.equal(core.discarded, false)
  await sender.close()
  assert.equal(core.discarded, true)
})

test('messages of the tick cross before an op that follows them', async () => {
  core.answers.explain = () => ['ok', core.messages.map(({ id }) => id)]
  const send = sender.send({ ...message, id: 'x' })
  assert.deepEqual(await sender.explain('x'), ['x'])
  core.complete([core.messages[0].ticket, 'ok', null])
  await send
})

test('an aborted signal rejects before anything crosses', async () => {
  const reason = new Error('no more')
  const signal = AbortSignal.abort(reason)
  for (const call of [
    sender.send(message, { signal }),
    sender.enqueue(message, { signal }),
    sender.drain({ signal }),
    sender.request({ method: 'GET', path: '/' }, { signal }),
  ]) {
    await assert.rejects(call, (error) => error === reason)
  }
  assert.deepEqual([core.frames, core.requests, core.ops], [[], [], []])
})

test('an abort rejects at once with the reason, and withdraws the message', async () => {
  const controller = new AbortController()
  const { signal } = controller
  const calls = [
    sender.send(message, { signal }),
    sender.enqueue(message, { signal }),
    sender.request({ method: 'GET', path: '/' }, { signal }),
    sender.drain({ signal }),
  ]
  const other = sender.send(message)
  controller.abort('stop')
  for (const call of calls) await assert.rejects(call, (reason) => reason === 'stop')
  const tickets = [core.messages[0].ticket, core.messages[1].ticket, core.requests[0].ticket, core.op('drain')[0].ticket]
  assert.deepEqual(
    core.op('cancel'),
    tickets.map((ticket) => ({ op: 'cancel', ticket })),
  )

  // A completion that was on its way already finds nobody, and harms nobody.
  core.complete([tickets[0], 'ok', null], [core.messages[2].ticket, 'ok', 1])
  assert.equal(await other, 1)
})

test('a signal has one listener while something waits under it, and none afterwards', async () => {
  const warnings = []
  const warn = (warning) => warnings.push(warning)
  process.on('warning', warn)
  const signal = new AbortController().signal
  let listeners = 0
  for (const [name, step] of [
    ['addEventListener', 1],
    ['removeEventListener', -1],
  ]) {
    const original = signal[name]
    signal[name] = function (...args) {
      listeners += step
      return original.apply(this, args)
    }
  }
  const sends = Array.from({ length: 30 }, () => sender.send(message, { signal }))
  await nextTurn()
  assert.equal(listeners, 1)
  core.complete(...core.messages.map(({ ticket }) => [ticket, 'ok', null]))
  await Promise.all(sends)
  assert.equal(listeners, 0)
  await nextTurn()
  process.off('warning', warn)
  assert.deepEqual(warnings, [])
})

test('a signal-like without a reason gives an AbortError', async () => {
  const signal = new EventTarget()
  signal.aborted = false
  const send = sender.send(message, { signal })
  signal.aborted = true
  signal.dispatchEvent(new Event('abort'))
  await assert.rejects(send, { name: 'AbortError' })
})

test('dead letters come in pages', async () => {
  core.answers.deadLetters = ({ after, limit }) => [
    'ok',
    { letters: [{ id: `m${after}` }, { id: `m${after + 1}` }], next: after < 4 ? after + 2 : null, limit },
  ]
  const ids = []
  for await (const letter of sender.deadLetters()) ids.push(letter.id)
  assert.deepEqual(ids, ['m0', 'm1', 'm2', 'm3', 'm4', 'm5'])
  assert.deepEqual(
    core.op('deadLetters').map(({ after, limit }) => [after, limit]),
    [
      [0, 100],
      [2, 100],
      [4, 100],
    ],
  )

  for await (const letter of sender.deadLetters()) if (letter.id === 'm1') break
  assert.equal(core.op('deadLetters').length, 4)
})

test('redrive, drop and drain give nothing, and an unknown id is told', async () => {
  core.answers.redrive = core.answers.drain = () => ['ok', null]
  core.answers.drop = ({ id }) => ['err', { code: 'NOT_FOUND', message: `no dead letter has the id "${id}"` }]
  assert.equal(await sender.redrive('a'), undefined)
  assert.equal(await sender.drain({ timeoutMs: 5 }), undefined)
  assert.equal(core.op('drain')[0].timeoutMs, 5)
  await assert.rejects(sender.drop('b'), { name: 'SpillwayError', code: 'NOT_FOUND', message: 'no dead letter has the id "b"' })
})

test('how messages of an earlier run end is told to listeners that come with the sender', async () => {
  const opening = Sender.open({ organization: 'acme', store: 'file:outbox.db' })
  const own = FakeSender.opened.at(-1)
  assert.ok(own.op('listen')[0].events.includes('deadLetter'))
  own.complete([0, 'event', 'deadLetter', { id: 'a' }], [own.op('ready')[0].ticket, 'ok', { recovered: 1 }])
  const opened = await opening
  const told = []
  opened.on('deadLetter', ({ id }) => told.push(id))
  await nextTurn()
  await nextTurn()
  assert.deepEqual([opened.recovered, told, own.op('listen').at(-1).events], [1, ['a'], ['deadLetter']])
  own.answers.close = () => ['ok', { undelivered: 0 }]
  await opened.close()
})

test('a listener that throws at such an end keeps nobody from hearing of the others', async () => {
  const opening = Sender.open({ organization: 'acme', store: 'file:outbox.db' })
  const own = FakeSender.opened.at(-1)
  const ended = (id) => [0, 'event', 'deadLetter', { id }]
  own.complete(ended('a'), ended('b'), [own.op('ready')[0].ticket, 'ok', { recovered: 2 }])
  const opened = await opening
  const told = []
  opened.on('deadLetter', ({ id }) => {
    told.push(id)
    if (id === 'a') throw new Error('on purpose')
  })
  const uncaught = new Promise((resolve) => process.setUncaughtExceptionCaptureCallback(resolve))
  try {
    assert.equal((await uncaught).message, 'on purpose')
  } finally {
    process.setUncaughtExceptionCaptureCallback(null)
  }
  assert.deepEqual(told, ['a', 'b'])
  own.answers.close = () => ['ok', { undelivered: 0 }]
  await opened.close()
})

test('a sender whose engine has failed tells who waits, and who comes', async () => {
  const pending = sender.send(message)
  await nextTurn()
  core.complete([0, 'broken'])
  await assert.rejects(pending, { name: 'ClosedError', message: /engine has failed/ })
  await assert.rejects(sender.send(message), { name: 'ClosedError' })
  assert.deepEqual(await sender.close(), { undelivered: 1 })
})

test('an engine that has survived a defect says who still waits, and the others are told', async () => {
  const [lost, kept] = [sender.send({ conversationId: 'c', body: {} }), sender.send({ conversationId: 'c', body: {} })]
  const asked = sender.request({ method: 'GET', path: '/a' })
  const [{ ticket: first }, { ticket: second }] = core.messages
  // This one crosses after what the engine knew of.
  const later = sender.send({ conversationId: 'c', body: {} })
  sender.stats()
  await null
  core.complete([0, 'survived', core.requests[0].ticket, [second]])
  for (const promise of [lost, asked]) {
    await assert.rejects(promise, { name: 'SpillwayError', code: 'ENGINE_FAILED' })
  }
  core.complete([second, 'ok', 'kept'], [core.messages[2].ticket, 'ok', 'later'])
  assert.deepEqual([await kept, await later], ['kept', 'later'])
  assert.notEqual(first, second)
})

test('close is idempotent; what comes after it is refused', async () => {
  const pending = sender.send(message)
  core.answers.close = ({ timeoutMs }) => ['ok', { undelivered: timeoutMs }]
  const closing = sender.close()
  assert.equal(sender.close({ timeoutMs: 1 }), closing)
  for (const call of [
    sender.send(message),
    sender.enqueue(message),
    sender.request({ method: 'GET', path: '/' }),
    sender.explain('a'),
    sender.drain(),
    sender.deadLetters().next(),
  ]) {
    await assert.rejects(call, { name: 'ClosedError', code: 'CLOSED', message: 'the sender is closed' })
  }
  assert.deepEqual(await closing, { undelivered: 10_000 })
  await assert.rejects(pending, { name: 'ClosedError' })
  assert.equal(core.op('close').length, 1)
  assert.equal(await sender[asyncDispose](), undefined)
  assert.equal(asyncDispose, Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose'))
})

test('only events that somebody listens to cross', async () => {
  const listened = () => core.op('listen').map(({ events }) => events.join())
  const listener = () => {}
  sender.on('unrelated', listener)
  assert.deepEqual(listened(), [])
  sender.on('drain', listener).on('drain', listener)
  sender.once('delivered', listener)
  assert.deepEqual(listened(), ['drain', 'delivered,drain'])
  core.complete([0, 'event', 'delivered', { id: 'a' }])
  await nextTurn()
  await nextTurn()
  assert.equal(listened().at(-1), 'drain')
  sender.off('drain', listener)
  assert.equal(listened().length, 3)
  sender.off('drain', listener)
  assert.equal(listened().at(-1), '')
  sender.on('quota', listener).removeAllListeners()
  assert.equal(listened().at(-1), '')
  sender.on('outage', listener)
  assert.equal(listened().at(-1), 'outage')
  sender.removeAllListeners('newListener').removeAllListeners('removeListener').off('outage', listener)
  assert.equal(listened().at(-1), '')
})

test('events reach their listeners with their payload', async () => {
  const throttled = once(sender, 'throttled')
  const drained = once(sender, 'drain')
  core.complete([0, 'event', 'throttled', { reason: 'reset' }], [0, 'event', 'drain', null])
  assert.deepEqual(await throttled, [{ reason: 'reset' }])
  assert.deepEqual(await drained, [])
})

test('a listener that throws is an uncaught exception, and the completions behind it settle', async () => {
  sender.on('drain', () => {
    throw new Error('from a listener')
  })
  const send = sender.send(message)
  await nextTurn()
  const uncaught = new Promise((resolve) => process.setUncaughtExceptionCaptureCallback(resolve))
  try {
    core.complete([0, 'event', 'drain'], [core.messages[0].ticket, 'ok', 1])
    assert.equal(await send, 1)
    assert.equal((await uncaught).message, 'from a listener')
  } finally {
    process.setUncaughtExceptionCaptureCallback(null)
  }
})

test('access tokens come from the function, and no error shows one', async () => {
  const table = [
    [() => 'tok', { token: 'tok' }],
    [async () => 'tok', { token: 'tok' }],
    [() => '', { problem: 'accessToken failed: it must give a non-empty string of visible ASCII, no spaces' }],
    [() => 'se cret', { problem: 'accessToken failed: it must give a non-empty string of visible ASCII, no spaces' }],
    [() => 'secret\r\nx: y', { problem: 'accessToken failed: it must give a non-empty string of visible ASCII, no spaces' }],
    [() => ({ token: 'secret' }), { problem: 'accessToken failed: it must give a non-empty string, got object' }],
    [() => undefined, { problem: 'accessToken failed: it must give a non-empty string, got undefined' }],
    [
      () => {
        throw new Error('vault is sealed')
      },
      { failure: 'accessToken failed: vault is sealed' },
    ],
    [
      async () => {
        throw null
      },
      { failure: 'accessToken failed: no reason given' },
    ],
    [
      () => {
        throw new Error('GET https://me:secret@vault.example/v1?key=secret "http://vault/a#secret": refused')
      },
      { failure: 'accessToken failed: GET https://…@vault.example/v1?… "http://vault/a#…": refused' },
    ],
    ['a string', { problem: 'accessToken failed: it must give a non-empty string, got undefined' }],
  ]
  for (const [accessToken, answer] of table) {
    const [other, engine] = await open({ credentials: { accessToken } })
    engine.answers.close = () => ['ok', { undelivered: 0 }]
    engine.complete([0, 'token', 7])
    await nextTurn()
    await nextTurn()
    assert.deepEqual(engine.op('token'), [{ op: 'token', id: 7, ...answer }])
    await other.close()
  }
})

test("stats are the core's", () => {
  assert.deepEqual(sender.stats(), { organization: 'acme' })
})

/** What code against the fake prints, in a process of its own. */
function run(code) {
  const prelude = `
    const { use } = require('./lib/load.js')
    const { FakeSender, FakeWaker } = require('./__test__/unit/fake-binding.js')
    use({ NativeWaker: FakeWaker, NativeSender: FakeSender })
    const { Sender } = require('./index.js')
    const message = { conversationId: 'c', body: 1 }
    const alive = () => { console.log('alive'); core.complete([core.messages[0].ticket, 'ok', 'receipt']) }
    // It is counted to 20 only where something else holds the event loop: of those that are due at once, one fires.
    let count = 0
    setInterval(() => ++count === 20 && alive(), 10).unref()
    let core
    const main = async () => { const sender = await Sender.open({}); core = FakeSender.opened[0]; ${code} }
    main()`
  return new Promise((resolve) => {
    const options = { cwd: path.join(__dirname, '../..'), timeout: 30_000 }
    execFile(process.execPath, ['-e', prelude], options, (error, stdout) => resolve(error?.killed ? 'hangs' : stdout))
  })
}

test('the event loop lives while something is awaited, and ends when nothing is', async () => {
  const outputs = await Promise.all([
    run(`console.log(await sender.send(message))`),
    run(`console.log('open')`),
    run(`const controller = new AbortController()
         const send = sender.send(message, { signal: controller.signal })
         controller.abort('aborted')
         send.catch(console.log)`),
  ])
  assert.deepEqual(outputs, ['alive\nreceipt\n', 'open\n', 'aborted\n'])
})

test('the pages of dead letters end where the first one says', async () => {
  const asked = core.op('deadLetters').length
  core.answers.deadLetters = ({ after }) => ['ok', { letters: [{ id: `m${after}` }], next: after < 2 ? after + 1 : null, until: 7 }]
  const ids = []
  for await (const letter of sender.deadLetters()) ids.push(letter.id)
  assert.deepEqual(ids, ['m0', 'm1', 'm2'])
  assert.deepEqual(
    core
      .op('deadLetters')
      .slice(asked)
      .map(({ until }) => until),
    [undefined, 7, 7],
  )
})

test('opening many in a loop lets the event loop turn', async () => {
  let turns = 0
  const count = () => {
    turns++
    immediate = setImmediate(count)
  }
  let immediate = setImmediate(count)
  const senders = []
  for (let index = 0; index < 100; index++) senders.push((await open({ organization: `o${index}` }))[0])
  clearImmediate(immediate)
  assert.ok(turns >= 5, `${turns} turns`)
  for (const { answers } of FakeSender.opened) answers.close = () => ['ok', { undelivered: 0 }]
  await Promise.all(senders.map((sender) => sender.close()))
})
