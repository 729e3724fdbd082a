'use strict'

const assert = require('node:assert/strict')

const { COUNT_BYTES, HEAD_BYTES } = require('../../lib/frame.js')

/** The messages in a frame, as the core reads them. */
function readFrame(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const count = view.getUint32(0, true)
  const texts = bytes.toString('utf8', COUNT_BYTES + count * HEAD_BYTES)
  let start = 0
  const text = (length) => texts.slice(start, (start += length))
  const messages = Array.from({ length: count }, (_, index) => {
    const at = COUNT_BYTES + index * HEAD_BYTES
    const lengths = [32, 36, 40, 44, 48, 52].map((offset) => view.getUint32(at + offset, true))
    const [id, conversationId, params, headers, traceparent, body] = lengths.map(text)
    return {
      ticket: view.getFloat64(at, true),
      expiresInMs: view.getFloat64(at + 8, true),
      notBefore: view.getFloat64(at + 16, true),
      priority: view.getInt32(at + 24, true),
      flags: view.getUint32(at + 28, true),
      id,
      conversationId,
      params,
      headers,
      traceparent,
      body,
    }
  })
  assert.equal(start, texts.length)
  return messages
}

/** A NativeWaker that tests ring. */
class FakeWaker {
  #numbers = []

  constructor(wake) {
    this.wake = wake
  }

  ring(number) {
    this.#numbers.push(number)
    this.wake()
  }

  take() {
    return this.#numbers.splice(0)
  }
}

/** A NativeSender that records what crosses; the test says what comes back. */
class FakeSender {
  static opened = []
  static refusal = null

  static open(settings, waker, number) {
    if (FakeSender.refusal !== null) throw new Error(FakeSender.refusal)
    const sender = new FakeSender(settings, waker, number)
    FakeSender.opened.push(sender)
    return sender
  }

  frames = []
  requests = []
  ops = []
  completions = []
  bodies = new Map()
  discarded = false
  answers = {}
  submitError = null

  constructor(settings, waker, number) {
    this.settings = JSON.parse(settings)
    this.wake = () => waker.ring(number)
  }

  get messages() {
    return this.frames.flat()
  }

  submit(frame) {
    if (this.submitError !== null) throw this.submitError
    this.frames.push(readFrame(frame))
  }

  request(ticket, head, body) {
    this.requests.push({ ticket, head: JSON.parse(head), body })
  }

  call(json) {
    const op = JSON.parse(json)
    this.ops.push(op)
    const answer = this.answers[op.op]
    if (answer) this.complete([op.ticket, ...answer(op)])
  }

  stats() {
    return '{"organization":"acme"}'
  }

  take() {
    return JSON.stringify(this.completions.splice(0))
  }

  body(ticket) {
    const body = this.bodies.get(ticket) ?? null
    this.bodies.delete(ticket)
    return body
  }

  discard() {
    this.discarded = true
  }

  /** Puts completions there and wakes, as the core does: later, and once for many. */
  complete(...completions) {
    if (this.completions.length === 0) setImmediate(this.wake)
    this.completions.push(...completions)
  }

  op(name) {
    return this.ops.filter((op) => op.op === name)
  }
}

module.exports = { FakeSender, FakeWaker, readFrame }
