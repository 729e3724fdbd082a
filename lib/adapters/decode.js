'use strict'

const { promisify } = require('node:util')
const zlib = require('node:zlib')

const { DeliveryError } = require('../errors.js')

/** Bodies up to this size are decompressed side by side; a longer one alone, so that many of them have a bound together. */
const SMALL_BYTES_MAX = 1024 * 1024

const gunzip = promisify(zlib.gunzip)
const unzip = promisify(zlib.unzip)
const inflate = promisify(zlib.inflate)
const inflateRaw = promisify(zlib.inflateRaw)
const brotli = promisify(zlib.brotliDecompress)

/** What `decode` can undo, for `accept-encoding`. */
const ENCODINGS = 'gzip, deflate, br'

// A cut end gives what there is, as browsers do: the length of the message was checked below.
const DECODERS = {
  // A server chooses the name that is looked up.
  __proto__: null,
  gzip: (bytes, options) => gunzip(bytes, { ...options, finishFlush: zlib.constants.Z_SYNC_FLUSH }),
  deflate: async (bytes, options) => {
    // Half of the servers mean the bare format, without zlib's header.
    const isZlib = (bytes[0] & 0x0f) === 8 && ((bytes[0] << 8) | bytes[1]) % 31 === 0
    return (isZlib ? inflate : inflateRaw)(bytes, { ...options, finishFlush: zlib.constants.Z_SYNC_FLUSH })
  },
  br: brotli,
}
DECODERS['x-gzip'] = DECODERS.gzip
// Servers that say so mean gzip or deflate: no client reads the old format of compress(1).
DECODERS.compress = (bytes, options) => unzip(bytes, { ...options, finishFlush: zlib.constants.Z_SYNC_FLUSH })
DECODERS['x-compress'] = DECODERS.compress

// Node has it from 22.15 on.
if (zlib.zstdDecompress !== undefined) DECODERS.zstd = promisify(zlib.zstdDecompress)

/** The body as it was before `content-encoding`; unchanged if that is none that we know. */
async function decode(bytes, contentEncoding, bytesMax, status) {
  const decoder =
    DECODERS[
      String(contentEncoding ?? '')
        .trim()
        .toLowerCase()
    ]
  if (decoder === undefined || bytes.length === 0) return bytes
  try {
    return await bounded((maxOutputLength) => decoder(bytes, { maxOutputLength }), bytesMax)
  } catch (cause) {
    if (cause.code !== 'ERR_BUFFER_TOO_LARGE') throw unreadable(cause, status)
    throw new DeliveryError('the response to the request is larger than allowed', {
      code: 'DELIVERY_RESPONSE_TOO_LARGE',
      status,
      attempts: 1,
      cause,
    })
  }
}

// How long a body becomes is known only afterwards, so what turns out to be long is begun again in its turn.
async function bounded(decompress, bytesMax) {
  try {
    return await decompress(Math.min(bytesMax, SMALL_BYTES_MAX))
  } catch (cause) {
    if (cause.code !== 'ERR_BUFFER_TOO_LARGE' || bytesMax <= SMALL_BYTES_MAX) throw cause
  }
  const turn = lastTurn.then(() => decompress(bytesMax))
  lastTurn = turn.catch(() => {})
  return turn
}

let lastTurn = Promise.resolve()

function unreadable(cause, status) {
  return new DeliveryError(`the response's body can't be decompressed: ${cause.code}`, {
    code: 'DELIVERY_REJECTED',
    status,
    attempts: 1,
    cause,
  })
}

module.exports = { decode, DECODERS, ENCODINGS }
