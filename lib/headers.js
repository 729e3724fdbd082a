'use strict'

// Headers of a caller's own: names and values, checked. A value may be a key of the caller's, and is never shown.

const { invalid, refused } = require('./checks.js')
const { clip } = require('./describe.js')
const { isPlain } = require('./plain.js')

const HEADERS_MAX = 64
const HEADER_CHARS_MAX = 8 * 1024
const MESSAGE_HEADERS_MAX = 32
const MESSAGE_HEADERS_BYTES_MAX = 8 * 1024

// These belong to the connection or to the credentials: a caller's value would contradict what is really sent.
const REFUSED_HEADERS = new Set(['authorization', 'host', 'content-length', 'transfer-encoding', 'connection'])

// The request of a message is Spillway's own: what describes its body, its repetition and its connection, too. The core
// has the same names for the headers of a sender (`settings/headers.rs`).
const OWNED_HEADERS = new Set([
  ...REFUSED_HEADERS,
  'accept-encoding',
  'content-encoding',
  'content-type',
  'expect',
  'idempotency-key',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'traceparent',
  'trailer',
  'upgrade',
])

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
// Tab and the visible characters of Latin-1, one byte each, as `fetch` and axios send them.
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** The headers of a call by their names in lower case. */
function checkHeaders(headers = {}) {
  return checked(headers, HEADERS_MAX, REFUSED_HEADERS)
}

/** The headers of a message as JSON, always the same for the same headers; empty for none. */
function messageHeadersText(headers) {
  const found = checked(headers, MESSAGE_HEADERS_MAX, OWNED_HEADERS)
  if (found.size === 0) return ''
  let bytes = 0
  for (const [name, value] of found) bytes += name.length + value.length
  if (bytes > MESSAGE_HEADERS_BYTES_MAX) {
    throw refused('headers', `must be at most ${MESSAGE_HEADERS_BYTES_MAX} bytes of names and values`)
  }
  return JSON.stringify(Object.fromEntries([...found].sort(([one], [other]) => (one < other ? -1 : 1))))
}

function checked(headers, countMax, owned) {
  if (!isPlain(headers)) throw wrongType('headers', 'a plain object of strings', headers)
  const entries = Object.entries(headers)
  if (entries.length > countMax) throw invalid('headers', `at most ${countMax} headers`, headers)
  const found = new Map()
  for (const [name, value] of entries) {
    if (!NAME.test(name)) throw refused('headers', `must have header names as keys, got ${describeName(name)}`)
    const lower = name.toLowerCase()
    if (owned.has(lower)) throw refused(`headers.${clip(name)}`, 'is set by the sender and must not be given')
    if (found.has(lower)) throw refused(`headers.${clip(name)}`, 'must not be given twice')
    checkValue(name, value)
    found.set(lower, value)
  }
  return found
}

// Where a name and a value were mistaken for each other, the name is the secret.
function describeName(name) {
  const at = [...name].findIndex((character) => !NAME.test(character))
  return name === '' ? 'an empty one' : `one of ${name.length} characters, of which number ${at + 1} is not allowed`
}

// What stands in a header's place may be its value.
function wrongType(field, allowed, value) {
  const hidden = typeof value === 'string' || typeof value === 'number'
  return hidden ? refused(field, `must be ${allowed}, got a ${typeof value}`) : invalid(field, allowed, value)
}

function checkValue(name, value) {
  if (typeof value !== 'string') throw wrongType(`headers.${clip(name)}`, 'a string', value)
  if (value.length <= HEADER_CHARS_MAX && VALUE.test(value)) return
  const rule = `must be at most ${HEADER_CHARS_MAX} characters of Latin-1, without control characters`
  throw refused(`headers.${clip(name)}`, rule)
}

module.exports = { checkHeaders, messageHeadersText, NAME, OWNED_HEADERS, REFUSED_HEADERS }
