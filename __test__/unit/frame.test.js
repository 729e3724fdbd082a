'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { Frame } = require('../../lib/frame.js')
const { checkMessage } = require('../../lib/message.js')
const { readFrame } = require('./fake-binding.js')

test('messages cross unchanged, one after another', () => {
  const frame = new Frame()
  const messages = [
    { conversationId: 'c', body: null },
    {
      conversationId: 'Ünï😀\0',
      id: 'i/../d',
      body: { text: '日本語\n"\\' },
      params: { a: 'b' },
      headers: { 'genesys-app': 'ü' },
      priority: -100,
      expiresInMs: 1.5,
      notBefore: 7,
    },
    { conversationId: 'x'.repeat(512), id: '€'.repeat(85), body: ['€'.repeat(50_000)], priority: 100 },
  ].map(checkMessage)
  messages.forEach((message, i) => frame.append(2 ** 40 + i, i % 2, message))
  assert.deepEqual(
    readFrame(frame.take()),
    messages.map((message, i) => ({ ...message, ticket: 2 ** 40 + i, flags: i % 2 })),
  )
  assert.equal(frame.length, 0)
  assert.deepEqual(readFrame(frame.take()), [])
})

test('texts of all widths cross unchanged, in frames of any number of messages', () => {
  const PIECES = ['a', 'xyz', 'ü', '€', '日本語', '😀', '\0', '\n', '"\\', '\u{10ffff}', ' ', '\u2028', 'ÿ']
  let seed = 20_240_229
  const random = (below) => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) % below
  const text = (piecesMax) => Array.from({ length: random(piecesMax + 1) }, () => PIECES[random(PIECES.length)]).join('')
  const frame = new Frame()
  for (let round = 0; round < 300; round++) {
    const messages = Array.from({ length: 1 + random(20) }, (_, i) => ({
      ...checkMessage({
        conversationId: `c${text(9)}`,
        id: `i${text(5)}`,
        params: { [text(3)]: text(3) },
        body: { text: text(random(40)) },
      }),
      headers: text(3),
      traceparent: text(2),
      ticket: round * 100 + i,
      flags: random(2),
    }))
    for (const message of messages) frame.append(message.ticket, message.flags, message)
    assert.deepEqual(readFrame(frame.take()), messages)
  }
})

test('the heads are as long and laid out as agreed', () => {
  const frame = new Frame()
  frame.append(1, 1, checkMessage({ conversationId: 'c', id: 'i', body: 1 }))
  frame.append(2, 0, checkMessage({ conversationId: '😀', body: 'é' }))
  const bytes = frame.take()
  assert.equal(
    bytes.toString('hex'),
    '02000000' +
      '000000000000f03f' +
      '000000000000f0bf' +
      '000000000000f0bf' +
      '00000000' +
      '01000000' +
      '01000000' +
      '01000000' +
      '00000000' +
      '00000000' +
      '00000000' +
      '01000000' +
      '0000000000000040' +
      '000000000000f0bf' +
      '000000000000f0bf' +
      '00000000' +
      '00000000' +
      '00000000' +
      '02000000' +
      '00000000' +
      '00000000' +
      '00000000' +
      '03000000' +
      '69' +
      '63' +
      '31' +
      'f09f9880' +
      '22c3a922',
  )
})

test('it grows over many messages, and lets a large buffer go', () => {
  const frame = new Frame()
  const small = checkMessage({ conversationId: 'c', body: 'x'.repeat(1000) })
  for (let i = 0; i < 200; i++) frame.append(i, 0, small)
  const messages = readFrame(frame.take())
  assert.equal(messages.length, 200)
  assert.ok(messages.every((message, i) => message.ticket === i && message.body === small.body))

  frame.append(1, 0, checkMessage({ conversationId: 'c', body: 'x'.repeat(4_000_000) }))
  const large = frame.take()
  frame.append(2, 0, small)
  assert.ok(frame.take().buffer.byteLength < large.buffer.byteLength)
})

test("a frame that can't be encoded is empty all the same", (t) => {
  const frame = new Frame()
  frame.append(1, 0, checkMessage({ conversationId: 'c', body: 'x'.repeat(100_000) }))
  const allocate = t.mock.method(Buffer, 'allocUnsafeSlow', () => {
    throw new RangeError('Array buffer allocation failed')
  })
  assert.throws(() => frame.take(), /allocation failed/)
  allocate.mock.restore()
  assert.equal(frame.length, 0)
  const next = checkMessage({ conversationId: 'c', body: 1 })
  frame.append(2, 0, next)
  assert.deepEqual(readFrame(frame.take()), [{ ...next, ticket: 2, flags: 0 }])
})

test('frames of a tick have buffers of their own, and share them between ticks', (t) => {
  const allocations = t.mock.method(Buffer, 'allocUnsafeSlow')
  const frames = Array.from({ length: 3 }, () => new Frame())
  assert.equal(allocations.mock.callCount(), 0, 'an idle sender has none')
  const next = (name) => checkMessage({ conversationId: name, body: 'x'.repeat(5_000) })
  for (let tick = 0; tick < 10; tick++) {
    const names = frames.map((_, index) => `${tick}/${index}`)
    frames.forEach((frame, index) => frame.append(1, 0, next(names[index])))
    const crossed = frames.map((frame) => readFrame(frame.take())[0].conversationId)
    assert.deepEqual(crossed, names)
  }
  const after = allocations.mock.callCount()
  frames[0].append(1, 0, next('again'))
  frames[0].take()
  assert.equal(allocations.mock.callCount(), after)
})
