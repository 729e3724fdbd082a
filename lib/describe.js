'use strict'

// A value in an error is there to be recognised, not to be read: longer ones would carry whole texts into logs.
const CHARS_MAX = 60

/** How an error shows a value: its type where the value itself says nothing, and never more than 60 characters. */
function describe(value) {
  switch (typeof value) {
    case 'string':
      return value.length > CHARS_MAX ? `${JSON.stringify(value.slice(0, CHARS_MAX))}…` : JSON.stringify(value)
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

function describeObject(value) {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  const type = Object.getPrototypeOf(value)?.constructor?.name
  return typeof type === 'string' && type !== '' && type !== 'Object' ? `an object (${clip(type)})` : 'an object'
}

function clip(text, charsMax = CHARS_MAX) {
  return text.length > charsMax ? `${text.slice(0, charsMax)}…` : text
}

module.exports = { clip, describe }
