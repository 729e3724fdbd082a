'use strict'

const LONE_SURROGATE = /\p{Surrogate}/u

// `JSON.stringify` escapes a lone surrogate, and nothing else, as \ud8xx–\udfxx; a text's backslash comes doubled.
const LONE_SURROGATE_ESCAPE = /(?<!\\)(?:\\\\)*\\u[dD][89a-fA-F]/

/** Whether the string is Unicode, so that UTF-8 can carry it unchanged. Native from Node 20 on. */
const isWellFormed =
  typeof String.prototype.isWellFormed === 'function' ? (text) => text.isWellFormed() : (text) => !LONE_SURROGATE.test(text)

/** Whether serialized JSON holds a lone surrogate, as an escape. */
function hasLoneSurrogateEscape(json) {
  // The plain search is some ten times faster than the pattern, and nearly always the end of it.
  return json.includes('\\u') && LONE_SURROGATE_ESCAPE.test(json)
}

/** Whether the string's UTF-8 takes at most `max` bytes; most strings need no count for that. */
function fitsBytes(text, max) {
  if (text.length * 3 <= max) return true
  return text.length <= max && Buffer.byteLength(text, 'utf8') <= max
}

module.exports = { fitsBytes, hasLoneSurrogateEscape, isWellFormed }
