'use strict'

const { abortReason } = require('../../completions.js')

/** By shape: signals of polyfills and of other realms abort as well. */
function isSignal(value) {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof value.aborted === 'boolean' &&
    typeof value.addEventListener === 'function' &&
    typeof value.removeEventListener === 'function'
  )
}

/**
 * The signal as one of this realm, which everything takes: `{ signal, end }`. `end` lets go of a foreign one; then the copy aborts
 * no more.
 */
function nativeSignal(signal) {
  if (signal === undefined || signal instanceof AbortSignal) return { signal, end() {} }
  const controller = new AbortController()
  const abort = () => controller.abort(abortReason(signal))
  if (signal.aborted) abort()
  else signal.addEventListener('abort', abort)
  return { signal: controller.signal, end: () => signal.removeEventListener('abort', abort) }
}

module.exports = { isSignal, nativeSignal }
