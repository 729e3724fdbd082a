'use strict'

const { refused } = require('../../checks.js')
const { refuseCredentials } = require('../credentials.js')
const { isSignal } = require('./signal.js')

/** By shape: a Request of another copy of undici, or of node-fetch, is one, too. */
function isRequest(input) {
  return typeof input === 'object' && input !== null && typeof input.url === 'string' && input.headers !== undefined
}

/** The call as the platform's own Request reads it, checks included: `{ request, body, signal }`. Nothing is sent yet. */
function requestOf(input, init) {
  const signal = signalOf(input, init)
  const own = withoutSignal(init)
  checkUrl(isRequest(input) ? input.url : input)
  if (!isRequest(input) || input instanceof Request) {
    const request = platformRequest(input, own)
    return { request, body: request.body, signal }
  }
  if (input.bodyUsed) throw new TypeError('fetch failed: the body of the Request is used up')
  const { url, method, headers, redirect, cache, integrity } = input
  // Its stream may be one of another realm, which the platform's Request would take for text.
  const request = platformRequest(url, { method, headers: [...headers], redirect, cache, integrity, duplex: 'half', ...own })
  return { request, body: own?.body === undefined ? input.body : request.body, signal }
}

// The platform's Request refuses them, too, with the whole address in its message.
function checkUrl(address) {
  const { username, password } = new URL(address)
  if (username || password) throw new TypeError('fetch failed: the URL must not hold a user name or a password')
}

// Its message on a header's value shows that, which may be a key of the caller's.
function platformRequest(input, init) {
  try {
    return new Request(input, init)
  } catch (error) {
    if (!/invalid header value/.test(error?.message)) throw error
    throw new TypeError('fetch failed: headers must have values without line breaks and NUL')
  }
}

/** A null of the init takes away the signal of the Request. */
function signalOf(input, init) {
  const signal = init?.signal === undefined ? (isRequest(input) ? input.signal : undefined) : init.signal
  if (signal === undefined || signal === null) return undefined
  if (isSignal(signal)) return signal
  throw new TypeError('fetch failed: init.signal is not an AbortSignal')
}

// The platform's Request takes signals of its own realm alone. The rest of the init stays, getters of a class included.
function withoutSignal(init) {
  if (typeof init !== 'object' || init === null) return init
  return Object.create(init, { signal: { value: undefined, enumerable: true } })
}

/** Refuses by name what API calls can't honor, and what they must not carry. */
function checkHonored(request, init) {
  if (request.integrity) throw refused('init.integrity', 'is not supported by spillway/fetch')
  if (init?.dispatcher !== undefined && init.dispatcher !== null) {
    const rule = "can't be used for API calls, which go over the sender's own connections: give a proxy by the environment variable "
    throw refused('init.dispatcher', `${rule}HTTPS_PROXY, and test against the Simulator instead of a MockAgent`)
  }
  refuseCredentials(request.headers, { isLowerCase: true })
}

/** What Node's fetch adds to the caller's headers, as far as servers act on it. */
function headersOf(request) {
  const headers = Object.fromEntries(request.headers)
  headers.accept ??= '*/*'
  const add = (name, value) => (headers[name] ??= value)
  const { cache } = request
  if (cache === 'no-cache' && headers['cache-control'] === undefined) add('cache-control', 'max-age=0')
  if (cache === 'no-store' || cache === 'reload') {
    add('pragma', 'no-cache')
    add('cache-control', 'no-cache')
  }
  return headers
}

module.exports = { checkHonored, headersOf, isRequest, requestOf }
