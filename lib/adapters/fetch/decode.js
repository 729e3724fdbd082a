'use strict'

const { decode } = require('../decode.js')

/** Those of Node's fetch. */
const CODINGS = new Set(['gzip', 'x-gzip', 'deflate', 'br'])

/** More of them in one answer are an attack, not a compression. */
const CODINGS_MAX = 5

/**
 * The body before its `content-encoding`, which may be a list: the last one was applied last. With an unknown coding, it
 * stays as it came, as in Node's fetch.
 */
async function decodeAll(bytes, contentEncoding, bytesMax, status) {
  if (!contentEncoding) return bytes
  const codings = contentEncoding
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
  if (!codings.every((coding) => CODINGS.has(coding))) return bytes
  if (codings.length > CODINGS_MAX) throw new RangeError(`content-encoding has more than ${CODINGS_MAX} codings`)
  for (const coding of codings.reverse()) bytes = await decode(bytes, coding, bytesMax, status)
  return bytes
}

module.exports = { decodeAll }
