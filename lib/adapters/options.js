'use strict'

const { version } = require('../../package.json')
const {
  checkBoolean,
  checkDeadlineMs,
  checkExpiresInMs,
  checkInteger,
  checkObject,
  checkPriority,
  checkRetry,
  invalid,
} = require('../checks.js')
const { ConfigError } = require('../errors.js')
const { BASE_URLS, RAW, VERSION } = require('../raw.js')
const { RAW_RESPONSE_BYTES_MAX } = require('../request.js')

const BODY_BYTES_MAX = 256 * 1024 * 1024

/** What each option may be. All hold for an adapter and, `idempotent` too, for one call. */
const CHECKS = {
  priority: checkPriority,
  expiresInMs: checkExpiresInMs,
  maxBodyBytes: (value) => checkInteger('maxBodyBytes', value, 1, BODY_BYTES_MAX),
  maxResponseBytes: (value) => checkInteger('maxResponseBytes', value, 1, RAW_RESPONSE_BYTES_MAX),
  retry: checkRetry,
  deadlineMs: checkDeadlineMs,
  timeoutPer: checkTimeoutPer,
  idempotent: (value) => checkBoolean('idempotent', value),
}
const SHARED = ['priority', 'expiresInMs', 'maxBodyBytes', 'maxResponseBytes', 'retry', 'deadlineMs']

const DEFAULTS = {
  priority: 0,
  maxBodyBytes: 16 * 1024 * 1024,
  /** More than `request()` allows by default: the clients that are replaced have no limit at all. */
  maxResponseBytes: 64 * 1024 * 1024,
  timeoutPer: 'attempt',
}

/**
 * The options of an adapter, checked and with their defaults. `further` names keys of this adapter: `timeoutPer` of those whose
 * client has a timeout, and others, which it checks by itself.
 */
function checkAdapterOptions(options = {}, further = []) {
  checkObject('options', options, new Set([...SHARED, ...further]))
  return { ...DEFAULTS, ...checked(options) }
}

/** The options of one call, which its caller gave as `field`, before those of the adapter. */
function callOptions(field, options, defaults, further = []) {
  if (options === undefined) return defaults
  checkObject(field, options, new Set([...SHARED, 'idempotent', ...further]))
  return { ...defaults, ...checked(options) }
}

function checked(options) {
  const values = {}
  for (const [key, check] of Object.entries(CHECKS)) if (options[key] !== undefined) values[key] = check(options[key])
  return values
}

function checkTimeoutPer(value) {
  if (value === 'attempt' || value === 'call') return value
  throw invalid('timeoutPer', "'attempt' or 'call'", value)
}

/** By what it can do and not by class: ESM and CommonJS, or two copies, must not be told apart. */
function checkSender(sender) {
  checkCopy(sender)
  if (typeof sender?.[RAW] !== 'function') throw invalid('sender', 'a Sender, as Sender.open gives it', sender)
  return sender
}

/** Refuses a sender of another version whose inside is not known here. */
function checkCopy(sender) {
  const other = sender?.[VERSION]
  if (other === undefined || (typeof sender[RAW] === 'function' && sender[BASE_URLS] !== undefined)) return
  throw new ConfigError(
    `sender is of spillway ${other}, which this adapter of spillway ${version} does not know: let both be of one version ` +
      '(npm ls spillway, npm dedupe)',
    { field: 'sender' },
  )
}

module.exports = { callOptions, checkAdapterOptions, checkSender }
