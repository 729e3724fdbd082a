'use strict'

const { once } = require('node:events')

const { escapeUnsafe } = require('../escape.js')

const CLEAR_LINE = '\r\x1b[2K'

/**
 * Where a command writes. Ids, texts and answers come from strangers, so everything is escaped here, for every command and
 * for JSON as for tables: nothing of theirs reaches a terminal as a control sequence.
 */
class Output {
  #stream

  constructor(stream) {
    this.#stream = stream
  }

  get isTTY() {
    return this.#stream.isTTY === true
  }

  get columns() {
    return this.#stream.columns ?? 80
  }

  /** Writes the text; false when the reader is behind, see {@link drained}. */
  write(text) {
    return this.#stream.write(escapeUnsafe(text))
  }

  /** Writes over the last line of a terminal. */
  rewrite(text) {
    return this.#stream.write(CLEAR_LINE + escapeUnsafe(text))
  }

  /** Resolves when the reader has caught up. */
  async drained() {
    await once(this.#stream, 'drain')
  }
}

module.exports = { Output }
