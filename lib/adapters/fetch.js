'use strict'

const { invalid } = require('../checks.js')
const { DeliveryError, SpillwayError } = require('../errors.js')
const { bytesOf } = require('./body.js')
const { fetchResponse } = require('./fetch-response.js')
const { checkAdapterOptions, checkSender } = require('./options.js')
const { follow } = require('./redirect.js')
const { locate } = require('./target.js')

/** As the Fetch standard has it. */
const REDIRECTS_MAX = 20
/** What the standard's three words mean among messages of priority 0. */
const PRIORITIES = { high: 10, low: -10 }

/** A `fetch` whose calls to the organisation's API go through the sender; all others pass untouched. See fetch.d.ts. */
function createFetch(sender, options = {}) {
  checkSender(sender)
  const checked = checkAdapterOptions(options, ['fetch'])
  // Taken now: the function that is made may become globalThis.fetch itself.
  const { fetch: ordinary = globalThis.fetch } = options
  if (typeof ordinary !== 'function') throw invalid('fetch', 'a function', ordinary)
  return async function fetch(input, init) {
    if (!isOfApi(sender, input)) return ordinary(input, init)
    return call({ sender, ordinary, options: checked }, input, init)
  }
}

// What is no URL is left to the ordinary fetch, too: it knows best how to refuse it.
function isOfApi(sender, input) {
  try {
    return locate(sender, new URL(isRequest(input) ? input.url : input)).kind === 'api'
  } catch {
    return false
  }
}

/** By shape: a Request of another copy of undici is one, too. */
function isRequest(input) {
  return typeof input === 'object' && input !== null && typeof input.url === 'string' && input.headers !== undefined
}

async function call({ sender, ordinary, options }, input, init) {
  const request = requestOf(input, init)
  const signal = (init?.signal !== undefined ? init.signal : isRequest(input) ? input.signal : undefined) ?? undefined
  signal?.throwIfAborted()
  if (request.integrity) throw new TypeError('fetch failed: integrity is not supported by spillway/fetch')
  try {
    const { bytes } = await bytesOf(request.body, options.maxBodyBytes, signal)
    const answer = await follow(
      sender,
      {
        ...options,
        priority: PRIORITIES[init?.priority] ?? options.priority,
        url: request.url,
        method: request.method.toUpperCase(),
        headers: { accept: '*/*', ...Object.fromEntries(request.headers) },
        bytes,
      },
      {
        redirectsMax: request.redirect === 'follow' ? REDIRECTS_MAX : 0,
        signal,
        elsewhere: ({ url, method, headers, bytes }) => ordinary(url, { method, headers, body: bytes, signal }),
      },
    )
    if (answer.elsewhere !== undefined) return answer.elsewhere
    if (request.redirect === 'error' && isRedirect(answer)) throw new TypeError('fetch failed', { cause: new Error('unexpected redirect') })
    return fetchResponse(answer)
  } catch (error) {
    // Whoever aborts chooses the error.
    throw signal?.aborted ? signal.reason : failed(error)
  }
}

function requestOf(input, init) {
  if (!isRequest(input) || input instanceof Request) return new Request(input, init)
  const { url, method, headers, body, redirect } = input
  return new Request(url, { method, headers: [...headers], body, redirect, duplex: 'half', ...init })
}

function isRedirect({ status }) {
  return [301, 302, 303, 307, 308].includes(status)
}

/** Without an answer, fetch rejects with a TypeError; programs know a network's by its message. */
function failed(error) {
  if (error instanceof TypeError && error.message.startsWith('fetch failed')) return error
  const isOurs = error instanceof SpillwayError && !(error instanceof DeliveryError)
  return new TypeError(isOurs ? `fetch failed: ${error.message}` : 'fetch failed', { cause: error })
}

module.exports = { createFetch }
