'use strict'

const { PassThrough } = require('node:stream')
const { isAnyArrayBuffer } = require('node:util').types
const { refused } = require('../checks.js')

/**
 * A body as bytes that can be sent more than once: `{ bytes, contentType }`, the type only where the body decides it.
 * Streams are read once and kept; one that is longer than `bytesMax` is refused, since it couldn't be repeated.
 */
async function bytesOf(body, bytesMax, signal) {
  if (body === undefined || body === null) return { bytes: undefined }
  if (typeof body === 'string') return limited(Buffer.from(body, 'utf8'), bytesMax)
  if (ArrayBuffer.isView(body)) return limited(Buffer.from(body.buffer, body.byteOffset, body.byteLength), bytesMax)
  if (isAnyArrayBuffer(body)) return limited(Buffer.from(body), bytesMax)
  if (isFormOrBlob(body)) {
    // The platform's own serialization: multipart boundaries, file names and types as fetch writes them.
    const response = new Response(body)
    const { bytes } = await readAll(response.body ?? [], bytesMax, signal)
    return { bytes, contentType: response.headers.get('content-type') || undefined }
  }
  if (typeof body[Symbol.asyncIterator] === 'function' || typeof body.getReader === 'function') {
    return readAll(body, bytesMax, signal)
  }
  if (typeof body.pipe === 'function') return readAll(iterable(body), bytesMax, signal)
  throw refused('body', 'must be text, bytes, a form, a blob or a stream')
}

function isFormOrBlob(body) {
  return body instanceof FormData || body instanceof Blob || body instanceof URLSearchParams
}

/** Streams of the package form-data are older than async iteration. `pipe` passes on their bytes, and not their errors. */
function iterable(source) {
  const through = new PassThrough()
  // It stays: without a listener, an error that comes late would end the process.
  source.on('error', (error) => through.destroy(error))
  through.once('close', () => {
    if (!through.readableEnded) source.destroy?.()
  })
  return source.pipe(through)
}

async function readAll(stream, bytesMax, signal) {
  const chunks = []
  let length = 0
  const abort = signal === undefined ? undefined : () => cancel(stream, signal.reason)
  signal?.addEventListener('abort', abort, { once: true })
  try {
    for await (const chunk of iterate(stream)) {
      signal?.throwIfAborted()
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk, 'utf8') : chunk
      if (!ArrayBuffer.isView(bytes)) throw refused('body', 'must be a stream of bytes or text')
      length += bytes.byteLength
      checkLength(length, bytesMax)
      chunks.push(bytes)
    }
  } finally {
    signal?.removeEventListener('abort', abort)
  }
  signal?.throwIfAborted()
  return { bytes: Buffer.concat(chunks, length) }
}

// Web streams of Node 18 iterate; those of polyfills only have a reader.
async function* iterate(stream) {
  if (typeof stream.getReader !== 'function') {
    yield* stream
    return
  }
  const reader = stream.getReader()
  readers.set(stream, reader)
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value
  } finally {
    reader.cancel().catch(() => {})
  }
}

/** The reader that holds a web stream's lock: only it can cancel the stream. */
const readers = new WeakMap()

function cancel(stream, reason) {
  if (typeof stream.destroy === 'function') stream.destroy(reason instanceof Error ? reason : undefined)
  else
    readers
      .get(stream)
      ?.cancel(reason)
      .catch(() => {})
}

function limited(bytes, bytesMax) {
  checkLength(bytes.length, bytesMax)
  return { bytes }
}

function checkLength(length, bytesMax) {
  if (length <= bytesMax) return
  const rule = `must be at most ${bytesMax} bytes (maxBodyBytes): it is kept whole, to be sent again after a failure`
  throw refused('body', rule)
}

module.exports = { bytesOf, checkLength }
