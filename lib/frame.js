'use strict'

const HEADER_BYTES = 52
const INITIAL_BYTES = 64 * 1024
// A larger buffer than this, left by a large message, isn't kept for the small ones that follow.
const KEPT_BYTES_MAX = 1024 * 1024
// Up to this length three bytes a character are reserved; a longer text is worth the count of what it really takes.
const UNCOUNTED_CHARS_MAX = 16 * 1024

const SETTLE_ON_OUTCOME = 0
const SETTLE_ON_ACCEPTANCE = 1

/** The messages of one tick, in the form in which they cross to the core together. Little endian. */
class Frame {
  #buffer
  #view
  #length = 0

  constructor() {
    this.#use(Buffer.allocUnsafeSlow(INITIAL_BYTES))
  }

  /** Bytes written since the last `take`. */
  get length() {
    return this.#length
  }

  /** Writes a message that was checked, its texts straight into the buffer. */
  append(ticket, flags, { id, conversationId, params, traceparent, body, priority, expiresInMs, notBefore }) {
    this.#reserve(HEADER_BYTES + bytesMax(id) + bytesMax(conversationId) + bytesMax(params) + bytesMax(traceparent) + bytesMax(body))
    const start = this.#length
    const atConversation = this.#text(id, start + HEADER_BYTES)
    const atParams = this.#text(conversationId, atConversation)
    const atTraceparent = this.#text(params, atParams)
    const atBody = this.#text(traceparent, atTraceparent)
    const end = this.#text(body, atBody)

    const view = this.#view
    view.setFloat64(start, ticket, true)
    view.setFloat64(start + 8, expiresInMs, true)
    view.setFloat64(start + 16, notBefore, true)
    view.setInt32(start + 24, priority, true)
    view.setUint32(start + 28, flags, true)
    view.setUint32(start + 32, atConversation - start - HEADER_BYTES, true)
    view.setUint32(start + 36, atParams - atConversation, true)
    view.setUint32(start + 40, atTraceparent - atParams, true)
    view.setUint32(start + 44, atBody - atTraceparent, true)
    view.setUint32(start + 48, end - atBody, true)
    this.#length = end
  }

  /** What was written, and an empty frame again. The bytes are valid until the next `append`. */
  take() {
    const taken = this.#buffer.subarray(0, this.#length)
    this.#length = 0
    if (this.#buffer.length > KEPT_BYTES_MAX) this.#use(Buffer.allocUnsafeSlow(INITIAL_BYTES))
    return taken
  }

  #text(text, at) {
    return text === '' ? at : at + this.#buffer.write(text, at, 'utf8')
  }

  #reserve(bytes) {
    const needed = this.#length + bytes
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#use(larger)
  }

  #use(buffer) {
    this.#buffer = buffer
    this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength)
  }
}

function bytesMax(text) {
  return text.length > UNCOUNTED_CHARS_MAX ? Buffer.byteLength(text, 'utf8') : text.length * 3
}

module.exports = { Frame, HEADER_BYTES, SETTLE_ON_ACCEPTANCE, SETTLE_ON_OUTCOME }
