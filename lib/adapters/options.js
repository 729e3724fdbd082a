'use strict'

const { checkExpiresInMs, checkInteger, checkObject, checkPriority, invalid } = require('../checks.js')
const { RAW } = require('../raw.js')
const { RAW_RESPONSE_BYTES_MAX } = require('../request.js')

const BODY_BYTES_DEFAULT = 16 * 1024 * 1024
const BODY_BYTES_MAX = 256 * 1024 * 1024
/** More than `request()` allows by default: the clients that are replaced have no limit at all. */
const RESPONSE_BYTES_DEFAULT = 64 * 1024 * 1024

const KEYS = ['priority', 'expiresInMs', 'maxBodyBytes', 'maxResponseBytes']

/** The options that all adapters share, checked and with their defaults. `further` names keys of one adapter. */
function checkAdapterOptions(options = {}, further = []) {
  checkObject('options', options, new Set([...KEYS, ...further]))
  const { priority = 0, expiresInMs, maxBodyBytes = BODY_BYTES_DEFAULT, maxResponseBytes = RESPONSE_BYTES_DEFAULT } = options
  return {
    priority: checkPriority(priority),
    expiresInMs: expiresInMs === undefined ? undefined : checkExpiresInMs(expiresInMs),
    maxBodyBytes: checkInteger('maxBodyBytes', maxBodyBytes, 1, BODY_BYTES_MAX),
    maxResponseBytes: checkInteger('maxResponseBytes', maxResponseBytes, 1, RAW_RESPONSE_BYTES_MAX),
  }
}

/** By what it can do and not by class: ESM and CommonJS, or two copies, must not be told apart. */
function checkSender(sender) {
  if (typeof sender?.[RAW] !== 'function') throw invalid('sender', 'a Sender, as Sender.open gives it', sender)
  return sender
}

module.exports = { checkAdapterOptions, checkSender }
