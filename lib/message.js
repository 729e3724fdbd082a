'use strict'

const { checkExpiresInMs, checkId, checkObject, checkPriority, checkTime, invalid, refused } = require('./checks.js')
const { describe } = require('./describe.js')
const { messageHeadersText } = require('./headers.js')
const { isPlain } = require('./plain.js')
const { fitsBytes, hasLoneSurrogateEscape, isWellFormed } = require('./text.js')
const { traceparent } = require('./traceparent.js')

const CONVERSATION_ID_BYTES_MAX = 512
const PARAMS_BYTES_MAX = 16 * 1024
const BODY_BYTES_MAX = 8 * 1024 * 1024

const KEYS = new Set(['conversationId', 'body', 'id', 'params', 'headers', 'priority', 'expiresInMs', 'notBefore'])

/**
 * The message as the frame writes it: texts serialized, absent numbers in their neutral value. Throws a ConfigError
 * with the code MESSAGE_INVALID. Reads each field once, those of `params` and `headers` too, so what was checked is what is sent.
 */
function checkMessage(message) {
  checkObject('message', message, KEYS)
  const { conversationId, id, params, headers, priority, expiresInMs, notBefore, body } = message
  checkId('conversationId', conversationId, CONVERSATION_ID_BYTES_MAX)
  return {
    conversationId,
    id: id === undefined ? '' : checkId('id', id),
    params: params === undefined ? '' : paramsText(params),
    headers: headers === undefined ? '' : messageHeadersText(headers),
    priority: priority === undefined ? 0 : checkPriority(priority),
    expiresInMs: expiresInMs === undefined ? -1 : checkExpiresInMs(expiresInMs),
    notBefore: notBefore === undefined ? -1 : epochMs(notBefore),
    traceparent: traceparent(),
    body: bodyText(body),
  }
}

function epochMs(value) {
  // Below zero is the frame's sign for "none"; a time before 1970 is as past as 1970 itself.
  return Math.max(0, checkTime('notBefore', value))
}

function paramsText(params) {
  if (!isPlain(params)) throw invalid('params', 'a plain object of strings', params)
  // A getter may give something else each time.
  const copy = { ...params }
  for (const [key, value] of Object.entries(copy)) {
    if (typeof value !== 'string') throw invalid(`params.${key}`, 'a string', value)
    if (!isWellFormed(value)) throw invalid(`params.${key}`, 'a string without lone surrogates', value)
  }
  const text = JSON.stringify(copy)
  if (hasLoneSurrogateEscape(text)) throw invalid('params', 'an object with keys without lone surrogates', params)
  if (!fitsBytes(text, PARAMS_BYTES_MAX)) throw invalid('params', `at most ${PARAMS_BYTES_MAX} bytes of JSON`, params)
  return text
}

/** The body's JSON. Its errors say what is wrong with it and nothing of what is in it. */
function bodyText(body) {
  if (typeof body === 'number' && !Number.isFinite(body)) throw invalid('body', 'a JSON value', body)
  let text
  try {
    text = JSON.stringify(body)
  } catch (error) {
    throw refused('body', `must be a JSON value: ${whyUnserialisable(error)}`)
  }
  if (text === undefined) throw refused('body', `must be a JSON value, got ${describe(body)}`)
  if (hasLoneSurrogateEscape(text)) throw refused('body', 'must hold no lone surrogate in any of its strings')
  if (!fitsBytes(text, BODY_BYTES_MAX)) throw refused('body', `must be at most ${BODY_BYTES_MAX} bytes of JSON`)
  return text
}

// The thrown error itself isn't passed on: one from a `toJSON` may quote the text that it choked on.
function whyUnserialisable(error) {
  if (error instanceof RangeError) return 'it is nested too deep or too large'
  if (!(error instanceof TypeError)) return 'a toJSON or getter in it threw'
  if (/circular|cyclic/i.test(error.message)) return 'it refers to itself'
  return /BigInt/.test(error.message) ? 'it holds a bigint' : 'a toJSON or getter in it threw'
}

module.exports = { bodyText, checkMessage }
