'use strict'

const COUNT_BYTES = 4
const HEAD_BYTES = 56
const INITIAL_BYTES = 8 * 1024
// A larger buffer than this, left by a large message, isn't kept for the small ones that follow.
const KEPT_BYTES_MAX = 1024 * 1024
// Kept by all senders of a thread together. Most of a thousand send nothing in a tick, and none needs one beyond it.
const SPARE_BYTES_MAX = 4 * 1024 * 1024
// Up to this length three bytes a character are reserved; longer texts are worth the count of what they really take.
const UNCOUNTED_CHARS_MAX = 128 * 1024

const SETTLE_ON_OUTCOME = 0
const SETTLE_ON_ACCEPTANCE = 1

/** The buffers that no frame is using, which the frames of all senders of a thread share. */
class Spares {
  #rooms = []
  #bytes = 0

  take() {
    const room = this.#rooms.pop()
    if (room === undefined) return roomOf(INITIAL_BYTES)
    this.#bytes -= room.buffer.length
    return room
  }

  give(room) {
    const { length } = room.buffer
    if (length > KEPT_BYTES_MAX || this.#bytes + length > SPARE_BYTES_MAX) return
    this.#rooms.push(room)
    this.#bytes += length
  }
}

function roomOf(bytes) {
  const buffer = Buffer.allocUnsafeSlow(bytes)
  return { buffer, view: new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength) }
}

const spares = new Spares()

/**
 * The messages of one tick, in the form in which they cross to the core together: their count, a head for each, and all
 * texts behind the heads, with their lengths in UTF-16 units. Little endian. So the texts are one string until they cross,
 * and are encoded in one go: a native call for each would cost more than the text.
 */
class Frame {
  /** Null while there is no message. */
  #room = null
  #count = 0
  #texts = ''

  /** Bytes since the last `take`, where a text's character is one; 0 when there is no message. */
  get length() {
    return this.#count * HEAD_BYTES + this.#texts.length
  }

  /** Adds a message that was checked. */
  append(ticket, flags, { id, conversationId, params, headers, traceparent, body, priority, expiresInMs, notBefore }) {
    const at = this.#headsEnd
    const { view } = this.#reserve(at, HEAD_BYTES)
    view.setFloat64(at, ticket, true)
    view.setFloat64(at + 8, expiresInMs, true)
    view.setFloat64(at + 16, notBefore, true)
    view.setInt32(at + 24, priority, true)
    view.setUint32(at + 28, flags, true)
    view.setUint32(at + 32, id.length, true)
    view.setUint32(at + 36, conversationId.length, true)
    view.setUint32(at + 40, params.length, true)
    view.setUint32(at + 44, headers.length, true)
    view.setUint32(at + 48, traceparent.length, true)
    view.setUint32(at + 52, body.length, true)
    this.#texts = this.#texts + id + conversationId + params + headers + traceparent + body
    this.#count += 1
  }

  /** What was added, and an empty frame again, even if this throws. The bytes are valid until the next `append` to any frame. */
  take() {
    const count = this.#count
    const texts = this.#texts
    const at = this.#headsEnd
    this.#count = 0
    this.#texts = ''
    try {
      const { buffer, view } = this.#reserve(at, bytesMax(texts))
      view.setUint32(0, count, true)
      return buffer.subarray(0, at + buffer.write(texts, at, 'utf8'))
    } finally {
      if (this.#room !== null) spares.give(this.#room)
      this.#room = null
    }
  }

  get #headsEnd() {
    return COUNT_BYTES + this.#count * HEAD_BYTES
  }

  /** The room, with space for this many bytes behind `at`. */
  #reserve(at, bytes) {
    this.#room ??= spares.take()
    const { buffer } = this.#room
    const needed = at + bytes
    if (needed > buffer.length) {
      this.#room = roomOf(Math.max(needed, buffer.length * 2))
      buffer.copy(this.#room.buffer, 0, 0, at)
    }
    return this.#room
  }
}

function bytesMax(text) {
  return text.length > UNCOUNTED_CHARS_MAX ? Buffer.byteLength(text, 'utf8') : text.length * 3
}

module.exports = { COUNT_BYTES, Frame, HEAD_BYTES, SETTLE_ON_ACCEPTANCE, SETTLE_ON_OUTCOME }
