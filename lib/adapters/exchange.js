'use strict'

const { DeliveryError } = require('../errors.js')
const { RAW } = require('../raw.js')
const { REFUSED_HEADERS } = require('../headers.js')
const { refuseCredentials } = require('./credentials.js')
const { TIMEOUT_MS_MAX } = require('../request.js')
const { decode, DECODERS, ENCODINGS } = require('./decode.js')

// Of one connection, or the sender's own: what a client that is used to its own connection sets is left out silently.
const LEFT_OUT = new Set([...REFUSED_HEADERS, 'expect', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'upgrade'])

/** By an error about the body of an answer: the status, the status text and the headers that came before it. */
const heads = new WeakMap()

/**
 * One API call through the sender, retries included: `{ status, statusText, headers, bytes }` for any final status.
 * Rejects only when there is no answer. With `isNodes`, the headers are read as by Node's own client.
 */
async function exchange(sender, request, signal) {
  const { method, path, headers, bytes, timeoutMs, maxResponseBytes, decompress = true, isBare } = request
  const { priority, expiresInMs, deadlineMs, retry, idempotent } = request
  const answer = await sender[RAW](
    {
      method,
      path,
      headers: headersToSend(headers, { decompress, isBare }),
      body: bytes,
      timeoutMs: timeoutOf(timeoutMs),
      priority,
      expiresInMs,
      deadlineMs,
      retry,
      idempotent,
      maxResponseBytes,
    },
    signal === undefined ? undefined : { signal },
  )
  const { status, statusText, body: received } = answer
  if (request.isNodes) answer.headers = nodesHeaders(answer)
  const head = { status, statusText, headers: answer.headers }
  try {
    checkWhole(method, answer, received)
    return { ...head, ...(decompress ? await plain(answer, received, maxResponseBytes) : { bytes: received }) }
  } catch (error) {
    if (error.code !== 'DELIVERY_RESPONSE_TOO_LARGE') heads.set(error, head)
    throw error
  }
}

/** What was received before the body failed; undefined for any other error. */
function headOf(error) {
  return heads.get(error)
}

// The core tries again while it may, and then gives what it has. Half a body is no answer.
function checkWhole(method, { status, headers }, received) {
  const announced = Number(headers['content-length'] ?? 0)
  if (method === 'HEAD' || status === 204 || status === 304 || !(received.length < announced)) return
  throw new DeliveryError(`the request was answered, but the answer was cut in its body (status ${status})`, {
    code: 'DELIVERY_EXHAUSTED',
    status,
  })
}

/** Without `isBare`, the usual headers are added where the caller gives none. */
function headersToSend(headers, { decompress, isBare = false }) {
  // Whatever a hook has added on the way, a redirect's included.
  refuseCredentials(Object.entries(headers ?? {}))
  const sent = Object.create(null)
  for (const [name, value] of Object.entries(headers ?? {})) {
    const lower = name.toLowerCase()
    if (value === undefined || value === null || value === false || LEFT_OUT.has(lower)) continue
    sent[lower] = Array.isArray(value) ? value.join(', ') : String(value)
  }
  if (isBare) {
    // Empty, they tell the core to add none of its own.
    sent.accept ??= ''
    sent['user-agent'] ??= ''
  } else if (decompress) sent['accept-encoding'] ??= ENCODINGS
  return sent
}

/** Of several lines of such a header Node's own client takes the first, and so do clients that are built on it. */
const OF_ONE_LINE = new Set([
  'age',
  'content-length',
  'content-type',
  'etag',
  'expires',
  'last-modified',
  'location',
  'retry-after',
  'server',
])

/** The headers as Node's own client has them. `firstLines` are those of the headers of several lines. */
function nodesHeaders({ headers, firstLines = {} }) {
  const firsts = Object.entries(firstLines).filter(([name]) => OF_ONE_LINE.has(name))
  return { ...headers, ...Object.fromEntries(firsts) }
}

/** None, zero and infinity leave it to `connections.requestTimeoutMs`. */
function timeoutOf(timeoutMs) {
  if (!(timeoutMs > 0) || timeoutMs === Infinity) return undefined
  return Math.min(Math.max(1, Math.ceil(timeoutMs)), TIMEOUT_MS_MAX)
}

/** The answer as if the server hadn't compressed it: a header that says so would make the next reader try once more. */
async function plain({ status, headers }, received, bytesMax) {
  const bytes = await decode(received, headers['content-encoding'], bytesMax, status)
  if (!Object.hasOwn(DECODERS, String(headers['content-encoding']).toLowerCase())) return { headers, bytes }
  const { 'content-encoding': _, ...others } = headers
  return { headers: others, bytes }
}

module.exports = { exchange, headOf }
