'use strict'

// Bodies cross as the bytes that came. They are parsed here and nowhere else, and only when somebody waits for them.

const BYTE_ORDER_MARK = 0xfeff

/** The text of a body, without a byte order mark; null if it is empty. What is no UTF-8 is replaced. */
function textOf(bytes) {
  const whole = bytes.toString('utf8')
  const text = whole.charCodeAt(0) === BYTE_ORDER_MARK ? whole.slice(1) : whole
  return text === '' ? null : text
}

/** The body as JSON; as a text if it is not JSON. */
function jsonOrTextOf(bytes) {
  const text = textOf(bytes)
  if (text === null) return null
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Reads a body as its row says. */
const READINGS = { bytes: (bytes) => bytes, json: jsonOrTextOf, text: textOf }

module.exports = { READINGS }
