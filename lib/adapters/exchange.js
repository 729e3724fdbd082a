'use strict'

const { STATUS_CODES } = require('node:http')

const { DeliveryError } = require('../errors.js')
const { RAW } = require('../raw.js')
const { REFUSED_HEADERS, TIMEOUT_MS_MAX } = require('../request.js')
const { decode, DECODERS, ENCODINGS } = require('./decode.js')

// Of one connection, or the sender's own: what a client that is used to its own connection sets is left out silently.
const LEFT_OUT = new Set([
  ...REFUSED_HEADERS, 'expect', 'keep-alive', 'proxy-authorization', 'proxy-connection', 'te', 'trailer', 'upgrade',
])

/**
 * One API call through the sender, retries included: `{ status, statusText, headers, bytes }` for any final status.
 * Rejects only when there is no answer.
 */
async function exchange(sender, request, signal) {
  const { method, path, headers, bytes, timeoutMs, priority, expiresInMs, maxResponseBytes, decompress = true } = request
  const answer = await sender[RAW](
    {
      method,
      path,
      headers: headersToSend(headers, decompress),
      body: bytes,
      timeoutMs: timeoutOf(timeoutMs),
      priority,
      expiresInMs,
      maxResponseBytes,
    },
    signal === undefined ? undefined : { signal },
  )
  const { status } = answer
  const received = Buffer.from(answer.base64, 'base64')
  checkWhole(method, answer, received)
  return {
    status,
    statusText: STATUS_CODES[status] ?? '',
    ...(decompress ? await plain(answer, received, maxResponseBytes) : { headers: answer.headers, bytes: received }),
  }
}

// The core tries again while it may, and then gives what it has. Half a body is no answer.
function checkWhole(method, { status, headers }, received) {
  const announced = Number(headers['content-length'] ?? 0)
  if (method === 'HEAD' || status === 204 || status === 304 || received.length >= announced) return
  throw new DeliveryError(`the request was answered, but the answer was cut in its body (status ${status})`, {
    code: 'DELIVERY_EXHAUSTED', status,
  })
}

function headersToSend(headers, decompress) {
  const sent = Object.create(null)
  for (const [name, value] of Object.entries(headers ?? {})) {
    const lower = name.toLowerCase()
    if (value === undefined || value === null || value === false || LEFT_OUT.has(lower)) continue
    sent[lower] = Array.isArray(value) ? value.join(', ') : String(value)
  }
  if (decompress) sent['accept-encoding'] ??= ENCODINGS
  return sent
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

module.exports = { exchange }
