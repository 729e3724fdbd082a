'use strict'

const { invalid } = require('../../checks.js')
const { DeliveryError, SpillwayError } = require('../../errors.js')
const { bytesOf } = require('../body.js')
const { Deadline, joinedWith } = require('../deadline.js')
const { ENCODINGS } = require('../decode.js')
const { decodeAll } = require('./decode.js')
const { checkHonored, headersOf, isRequest, requestOf } = require('./request.js')
const { fetchResponse, redirectedResponse } = require('./response.js')
const { nativeSignal } = require('./signal.js')
const { callOptions, checkAdapterOptions, checkSender } = require('../options.js')
const { follow } = require('../redirect.js')
const { locate } = require('../target.js')

/** As the Fetch standard has it. */
const REDIRECTS_MAX = 20
const REDIRECTS = new Set([301, 302, 303, 307, 308])
/** The headers of a body, of the standard. */
const OF_THE_BODY = /^content-(?:encoding|language|length|location|type)$/i
/** What the standard's three words mean among messages of priority 0. */
const PRIORITIES = new Map([
  ['high', 10],
  ['low', -10],
])

/** A `fetch` whose calls to the organization's API go through the sender; all others pass untouched. See index.d.ts. */
function createFetch(sender, options = {}) {
  checkSender(sender)
  const checked = checkAdapterOptions(options, ['fetch'])
  // Taken now: the function that is made may become globalThis.fetch itself.
  const { fetch: ordinary = globalThis.fetch } = options
  if (typeof ordinary !== 'function') throw invalid('fetch', 'a function', ordinary)
  return async function fetch(input, init) {
    if (!isOfApi(sender, input)) return untouched(ordinary, input, init)
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

/** But for an error that repeats an address that it refuses: that may hold a password, and its query a key. */
async function untouched(ordinary, input, init) {
  try {
    return await ordinary(input, init)
  } catch (error) {
    throw repeatsAddress(error, String(isRequest(input) ? input.url : input))
      ? new TypeError('fetch failed: the URL must be absolute and valid, without a user name and a password')
      : error
  }
}

function repeatsAddress(error, address) {
  if (!(error instanceof TypeError)) return false
  const written = [address]
  try {
    written.push(new URL(address).href)
  } catch {}
  return written.some((text) => error.message.includes(text))
}

async function call(adapter, input, init) {
  const { request, body, signal: given } = requestOf(input, init)
  const { signal, end } = nativeSignal(given)
  let isElsewhere = false
  try {
    checkHonored(request, init)
    const options = callOptions('init.spillway', init?.spillway, adapter.options)
    const own = { ...options, priority: PRIORITIES.get(init?.priority) ?? options.priority }
    signal?.throwIfAborted()
    const answer = await answerTo(adapter, { request, body, signal, own })
    isElsewhere = answer instanceof Response
    return isElsewhere ? redirectedResponse(answer) : fetchResponse(answer)
  } catch (error) {
    cancel(body, signal?.aborted ? signal.reason : error)
    // Whoever aborts chooses the error.
    throw signal?.aborted ? signal.reason : failed(error)
  } finally {
    // The body of another host's answer comes later, and ends with the same signal.
    if (!isElsewhere) end()
  }
}

/** The last answer, its redirects followed; the Response of another host, if they have led there. */
async function answerTo({ sender, ordinary }, { request, body, signal, own }) {
  const deadline = new Deadline(own.deadlineMs)
  const { bytes } = await deadline.within(signal, (signal) => bytesOf(body, own.maxBodyBytes, signal))
  const headers = headersOf(request)
  const codings = headers.range === undefined ? ENCODINGS : 'identity'
  const sent = { 'accept-encoding': codings, ...headers }
  const answer = await follow(
    sender,
    { ...own, url: request.url, method: request.method, headers: sent, bytes, decompress: false },
    {
      redirectsMax: request.redirect === 'follow' ? REDIRECTS_MAX : 0,
      locationOf,
      ofTheBody: OF_THE_BODY,
      signal,
      deadline,
      beforeRedirect: refuseCredentials,
      async elsewhere({ url, method, headers, bytes, deadlineMs }) {
        const { signal: within, end } = deadlineMs === undefined ? { signal, end() {} } : joinedWith(signal, deadlineMs)
        try {
          // The body of the answer comes later, and is part of the call: its time ends by itself.
          return await ordinary(url, { method, headers, body: bytes, signal: within })
        } catch (error) {
          end()
          throw error
        }
      },
    },
  )
  if (answer.elsewhere !== undefined) return answer.elsewhere
  if (request.redirect === 'error' && REDIRECTS.has(answer.status)) throw new Error('unexpected redirect')
  return { ...answer, body: await decodedBody(answer, own.maxResponseBytes) }
}

/** As in the standard, an empty location is the address itself. As in Node and browsers, its bytes are UTF-8. */
function locationOf({ location }) {
  return location === undefined ? undefined : Buffer.from(location, 'latin1').toString('utf8')
}

function refuseCredentials(next, { headers }, { url }) {
  const { username, password } = new URL(locationOf(headers), url)
  if (username || password) throw new TypeError('URL cannot contain credentials')
}

/** The server has carried the request out, so what is wrong with the body is told where that is read. */
async function decodedBody({ bytes, headers, status }, bytesMax) {
  try {
    return await decodeAll(bytes, headers['content-encoding'], bytesMax, status)
  } catch (error) {
    if (error.code === 'DELIVERY_RESPONSE_TOO_LARGE') throw error
    return error
  }
}

/** A body that won't be read to its end: its source hears of it. */
function cancel(body, reason) {
  if (typeof body?.cancel === 'function' && !body.locked) body.cancel(reason).catch(() => {})
  else if (typeof body?.destroy === 'function') body.destroy()
}

/** Without an answer, fetch rejects with a TypeError; programs know a network's by its message. */
function failed(error) {
  const isOurs = error instanceof SpillwayError && !(error instanceof DeliveryError)
  return new TypeError(isOurs ? `fetch failed: ${error.message}` : 'fetch failed', { cause: error })
}

module.exports = { createFetch }
