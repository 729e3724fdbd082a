'use strict'

const { isDate } = require('node:util').types

const { describe } = require('./describe.js')
const { ConfigError } = require('./errors.js')
const { fitsBytes, isWellFormed } = require('./text.js')

const ID_BYTES_MAX = 256
const PRIORITY_MAX = 100
/** The furthest that any time of ours lies ahead: 30 days. */
const AHEAD_MS_MAX = 30 * 24 * 60 * 60 * 1000
const ATTEMPTS_MAX = 1_000
const SCOPE_KEYS = new Set(['route', 'conversationId'])
const FILTER_KEYS = new Set(['reason', 'status', 'since'])
/** Why a message is a dead letter. */
const LETTER_REASONS = ['rejected', 'exhausted', 'expired', 'ambiguous', 'aborted']
const RETRY_KEYS = new Set(['maxAttempts', 'maxAgeMs'])

/** An argument that is wrong, and the rule that it breaks. */
function refused(field, rule) {
  return new ConfigError(`${field} ${rule}`, { code: 'MESSAGE_INVALID', field })
}

/** An argument that is wrong: what is allowed, and the value as far as an error may show it. */
function invalid(field, allowed, value) {
  return refused(field, `must be ${allowed}, got ${describe(value)}`)
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Refuses what is no object, and keys that nobody will read: a misspelt option must not pass for a default. */
function checkObject(what, value, keys) {
  // A string in a message's place is most likely its text.
  if (typeof value === 'string') throw refused(what, 'must be an object, got a string')
  if (!isObject(value)) throw invalid(what, 'an object', value)
  for (const key in value) {
    if (keys.has(key)) continue
    const rule = `is not a key of ${what}; allowed are ${[...keys].join(', ')}`
    throw new ConfigError(`${describe(key)} ${rule}`, { code: 'MESSAGE_INVALID', field: key })
  }
  return value
}

function checkId(field, value, bytesMax = ID_BYTES_MAX) {
  if (typeof value !== 'string' || value === '' || !fitsBytes(value, bytesMax)) {
    throw invalid(field, `a non-empty string of at most ${bytesMax} UTF-8 bytes`, value)
  }
  if (!isWellFormed(value)) throw invalid(field, 'a string without lone surrogates', value)
  return value
}

function checkInteger(field, value, min, max) {
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw invalid(field, `an integer from ${min} to ${max}`, value)
}

function checkPriority(value) {
  return checkInteger('priority', value, -PRIORITY_MAX, PRIORITY_MAX)
}

function checkExpiresInMs(value) {
  return checkSpanMs('expiresInMs', value)
}

function checkDeadlineMs(value) {
  return checkSpanMs('deadlineMs', value)
}

function checkSpanMs(field, value) {
  if (typeof value === 'number' && value > 0 && value <= AHEAD_MS_MAX) return value
  throw invalid(field, `a number of milliseconds above 0 and at most ${AHEAD_MS_MAX} (30 days)`, value)
}

/** The retries of one call, as an object: `false` is a single attempt. */
function checkRetry(value) {
  if (value === false) return { maxAttempts: 1 }
  if (!isObject(value)) throw invalid('retry', `false or an object of ${[...RETRY_KEYS].join(' and ')}`, value)
  const { maxAttempts, maxAgeMs } = checkObject('retry', value, RETRY_KEYS)
  return {
    maxAttempts: maxAttempts === undefined ? undefined : checkInteger('retry.maxAttempts', maxAttempts, 1, ATTEMPTS_MAX),
    maxAgeMs: maxAgeMs === undefined ? undefined : checkInteger('retry.maxAgeMs', maxAgeMs, 0, AHEAD_MS_MAX),
  }
}

function checkBoolean(field, value) {
  if (typeof value === 'boolean') return value
  throw invalid(field, 'true or false', value)
}

/** A pause; undefined stays so, and lasts. */
function checkForMs(value) {
  return value === undefined ? undefined : checkSpanMs('forMs', value)
}

/** The one scope that a pause may have. */
function checkPauseScope(value) {
  if (value === undefined || value === 'organization') return
  throw invalid('scope', "'organization'", value)
}

/** Whose end it is: a route, by its name in `stats()`, or a conversation; neither is the organization. */
function checkResumeScope(value) {
  if (value === undefined || value === 'organization') return {}
  const allowed = "'organization', { route } or { conversationId }"
  if (!isObject(value)) throw invalid('scope', allowed, value)
  const { route, conversationId } = checkObject('scope', value, SCOPE_KEYS)
  if (route !== undefined && conversationId !== undefined) throw invalid('scope', allowed, value)
  if (conversationId !== undefined) return { conversationId: checkId('scope.conversationId', conversationId) }
  return { route: checkId('scope.route', route) }
}

/** Which dead letters are meant, as the core reads it; without a key all. */
function checkLetterFilter(value) {
  const { reason, status, since } = checkObject('filter', value, FILTER_KEYS)
  if (reason !== undefined && !LETTER_REASONS.includes(reason)) {
    throw invalid('reason', `one of ${LETTER_REASONS.map((word) => `'${word}'`).join(', ')}`, reason)
  }
  return {
    reason,
    status: status === undefined ? undefined : checkStatus('status', status),
    sinceMs: since === undefined ? undefined : checkTime('since', since),
  }
}

function checkStatus(field, value) {
  return checkInteger(field, value, 100, 999)
}

/** A time, as epoch milliseconds. */
function checkTime(field, value) {
  const at = isDate(value) ? value.getTime() : value
  if (typeof at === 'number' && Number.isFinite(at) && at <= Date.now() + AHEAD_MS_MAX) return at
  throw invalid(field, 'a valid Date or a finite time in epoch milliseconds, at most 30 days ahead', value)
}

/** A wait; undefined stays so. */
function checkTimeout(value) {
  if (value === undefined || (typeof value === 'number' && value >= 0 && value <= AHEAD_MS_MAX)) return value
  throw invalid('timeoutMs', `a number of milliseconds from 0 to ${AHEAD_MS_MAX} (30 days)`, value)
}

/** A signal, or undefined. By shape and not by class: a polyfill's signal, or another realm's, aborts as well. */
function checkSignal(signal) {
  if (signal === undefined) return undefined
  const like =
    isObject(signal) &&
    typeof signal.aborted === 'boolean' &&
    typeof signal.addEventListener === 'function' &&
    typeof signal.removeEventListener === 'function'
  if (!like) throw invalid('signal', 'an AbortSignal', signal)
  return signal
}

module.exports = {
  AHEAD_MS_MAX,
  checkBoolean,
  checkDeadlineMs,
  checkExpiresInMs,
  checkForMs,
  checkId,
  checkInteger,
  checkLetterFilter,
  checkObject,
  checkPauseScope,
  checkPriority,
  checkResumeScope,
  checkRetry,
  checkSignal,
  checkStatus,
  checkTime,
  checkTimeout,
  invalid,
  isObject,
  LETTER_REASONS,
  refused,
}
