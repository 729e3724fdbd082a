'use strict'

const { escapeUnsafe } = require('../escape.js')

// Rows of which the widths of the columns are measured; those after them are set alike.
const MEASURED_MAX = 200
// So much is written at once: a call for each row would cost more than the row.
const CHUNK_CHARACTERS = 16_384

/**
 * Writes rows as they come, and waits for a reader that is slower: so many as there are, never all of them in memory.
 * A column is `[heading, least width, how to show it]`; the last one may be of any width.
 */
class Printer {
  rows = 0
  #stream
  #columns
  #measured = []
  #widths = null
  #pending = ''

  constructor(stream, columns = []) {
    this.#stream = stream
    this.#columns = columns
  }

  /** A row of the table. */
  async row(value) {
    this.rows++
    const cells = this.#columns.map(([, , show]) => printable(show(value)))
    if (this.#widths !== null) return this.#write(this.#line(cells))
    this.#measured.push(cells)
    if (this.#measured.length === MEASURED_MAX) await this.#begin()
  }

  /** A row as a line of JSON. */
  async json(value) {
    this.rows++
    await this.#write(`${JSON.stringify(value)}\n`)
  }

  /** A text that is a row of its own kind. */
  async text(text) {
    this.rows++
    await this.#write(text)
  }

  async end() {
    if (this.#measured.length > 0) await this.#begin()
    await this.#flush()
  }

  async #begin() {
    const headings = this.#columns.map(([heading]) => heading)
    const rows = [headings, ...this.#measured]
    this.#measured = []
    // The rows to come may be wider than those that are known.
    const least = rows.length > MEASURED_MAX ? this.#columns.map(([, width]) => width) : headings.map(() => 0)
    this.#widths = least.map((width, column) => Math.max(width, ...rows.map((cells) => cells[column].length)))
    for (const cells of rows) await this.#write(this.#line(cells))
  }

  #line(cells) {
    return `${cells
      .map((cell, column) => cell.padEnd(this.#widths[column]))
      .join('   ')
      .trimEnd()}\n`
  }

  async #write(text) {
    this.#pending += text
    if (this.#pending.length >= CHUNK_CHARACTERS) await this.#flush()
  }

  async #flush() {
    const text = this.#pending
    this.#pending = ''
    if (text !== '' && this.#stream.write(text) === false) await this.#stream.drained()
  }
}

/** A text as a cell of a table: quoted where it has characters that are not shown as they are. */
function printable(text) {
  return /[\t\n]/.test(text) || escapeUnsafe(text) !== text ? escapeUnsafe(JSON.stringify(text)) : text
}

module.exports = { printable, Printer }
