'use strict'

const { escapeUnsafe } = require('./escape.js')

// A value in an error is there to be recognized, not to be read: longer ones would carry whole texts into logs.
const CHARS_MAX = 60

const SCHEME = /^([a-z][a-z0-9+.-]*:(?:\/\/)?|\/\/)?(.*)$/is

/** How an error shows a value: its type where the value itself says nothing, and never more than 60 characters. */
function describe(value) {
  switch (typeof value) {
    case 'string':
      return describeText(withoutSecrets(value))
    case 'bigint':
      return 'a bigint'
    case 'function':
      return 'a function'
    case 'symbol':
      return 'a symbol'
    case 'object':
      return describeObject(value)
    default:
      return String(value)
  }
}

function describeText(text) {
  const shown = text.length > CHARS_MAX ? `${JSON.stringify(text.slice(0, CHARS_MAX))}…` : JSON.stringify(text)
  return escapeUnsafe(shown)
}

const URL_IN_TEXT = /\b[a-z][a-z0-9+.-]*:\/\/[^\s"'<>]*/gi

/** A text of others', as of an error: its URLs without what may be secret in them. */
function withoutUrlSecrets(text) {
  return text.replace(URL_IN_TEXT, withoutSecrets)
}

/** Where a URL may carry secrets, a dot stands in their place: before its `@`, and after its `?` or `#`. */
function withoutSecrets(text) {
  const [, scheme = '', rest] = SCHEME.exec(text)
  const end = rest.search(/[?#]/)
  if (end === -1) return scheme + rest.replace(/^.*@/s, '…@')
  // Such a character may belong to a password.
  return rest.includes('@', end) ? `${scheme}…` : `${scheme}${rest.slice(0, end + 1).replace(/^.*@/s, '…@')}…`
}

function describeObject(value) {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  const type = Object.getPrototypeOf(value)?.constructor?.name
  return typeof type === 'string' && type !== '' && type !== 'Object' ? `an object (${clip(type)})` : 'an object'
}

function clip(text, charsMax = CHARS_MAX) {
  return text.length > charsMax ? `${text.slice(0, charsMax)}…` : text
}

module.exports = { clip, describe, withoutUrlSecrets }
