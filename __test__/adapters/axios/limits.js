'use strict'

// Programs that set limits, interrupt their calls, or watch them.

/** Time enough for a request to arrive before. */
const TIMEOUT_MS = 500

function abortedAt(event, reason) {
  const controller = new AbortController()
  event.then(() => controller.abort(reason))
  return controller.signal
}

function cancelledAt(axios, event, message) {
  const source = axios.CancelToken.source()
  event.then(() => source.cancel(message))
  return source.token
}

function cancelled(axios, message) {
  const source = axios.CancelToken.source()
  source.cancel(message)
  return source.token
}

/** What the listeners were told last, and when: before or after the promise settled is the same to them. */
async function lastProgress(call) {
  const events = { upload: undefined, download: undefined }
  const listener =
    (direction) =>
    ({ loaded, total, progress, lengthComputable, upload, download }) => {
      events[direction] = { loaded, total, progress, lengthComputable, upload, download }
    }
  await call({ onUploadProgress: listener('upload'), onDownloadProgress: listener('download') }).catch(() => {})
  await new Promise(setImmediate)
  return events
}

const LIMITS = {
  'maxContentLength, not reached': ({ http }) => http.get('/long', { maxContentLength: 10_000 }),
  maxContentLength: ({ http }) => http.get('/long', { maxContentLength: 9_999 }),
  'maxContentLength 0': ({ http }) => http.get('/text', { maxContentLength: 0 }),
  'maxContentLength 0, empty': ({ http }) => http.get('/empty', { maxContentLength: 0 }),
  'maxContentLength, unlimited': ({ http }) => http.get('/long', { maxContentLength: -1 }),
  'maxContentLength of a refusal': ({ http }) => http.get('/404-long', { maxContentLength: 10 }),
  'maxContentLength after decompression': ({ http }) => http.get('/gzip-long', { maxContentLength: 1_000 }),
  'maxContentLength after a redirect': ({ http }) => http.get('/to-long', { maxContentLength: 1_000 }),
  'maxContentLength of bytes': ({ http }) => http.get('/long', { maxContentLength: 10, responseType: 'arraybuffer' }),
  'maxContentLength of a stream': ({ http }) => http.get('/long', { maxContentLength: 10, responseType: 'stream' }),

  timeout: ({ http }) => http.get('/slow', { timeout: TIMEOUT_MS }),
  'timeout of a post': ({ http }) => http.post('/slow', {}, { timeout: TIMEOUT_MS }),
  'timeout as text': ({ http }) => http.get('/slow', { timeout: `${TIMEOUT_MS}` }),
  'timeout, its message': ({ http }) => http.get('/slow', { timeout: TIMEOUT_MS, timeoutErrorMessage: 'too late' }),
  'timeout, its code': ({ http }) => http.get('/slow', { timeout: TIMEOUT_MS, transitional: { clarifyTimeoutError: true } }),
  'timeout after a redirect': ({ http }) => http.get('/to-slow', { timeout: TIMEOUT_MS }),
  'timeout that is none': ({ http }) => http.get('/json', { timeout: 'soon' }),
  'timeout 0': ({ http }) => http.get('/json', { timeout: 0 }),

  signal: ({ http, arrival }) => http.get('/slow', { signal: abortedAt(arrival()) }),
  'signal with a reason': ({ http, arrival }) => http.get('/slow', { signal: abortedAt(arrival(), new Error('mine')) }),
  'signal of a post': ({ http, arrival }) => http.post('/slow', { a: 1 }, { signal: abortedAt(arrival()) }),
  'signal, aborted before': ({ http }) => http.get('/json', { signal: AbortSignal.abort() }),
  'signal, aborted afterwards': async ({ http }) => {
    const controller = new AbortController()
    const response = await http.get('/json', { signal: controller.signal })
    controller.abort()
    return response
  },
  'signal of a polyfill': ({ http, arrival }) => {
    const listeners = new Set()
    const signal = {
      aborted: false,
      addEventListener: (_type, listener) => listeners.add(listener),
      removeEventListener: (_type, listener) => listeners.delete(listener),
    }
    arrival().then(() => {
      signal.aborted = true
      for (const listener of listeners) listener({ type: 'abort' })
    })
    return http.get('/slow', { signal })
  },
  CancelToken: ({ http, arrival, axios }) => http.get('/slow', { cancelToken: cancelledAt(axios, arrival(), 'no longer') }),
  'CancelToken, cancelled before': ({ http, axios }) => http.get('/json', { cancelToken: cancelled(axios, 'never') }),
  'CancelToken for several calls': async ({ http, axios, arrival }) => {
    const cancelToken = cancelledAt(axios, arrival(), 'both')
    const settled = await Promise.allSettled([http.get('/slow', { cancelToken }), http.get('/slow', { cancelToken })])
    return settled.map(({ status, reason }) => [status, reason.message, reason.code, axios.isCancel(reason)])
  },

  'progress of a download': ({ http }) => lastProgress((listeners) => http.get('/long', { ...listeners, responseType: 'text' })),
  'progress of a download, compressed': ({ http }) => lastProgress((listeners) => http.get('/gzip-length', listeners)),
  'progress of a download without a length': ({ http }) => lastProgress((listeners) => http.get('/chunked', listeners)),
  'progress of an upload': ({ http }) => lastProgress((listeners) => http.post('/empty', 'x'.repeat(1_000), listeners)),
  'progress of an upload that is refused': ({ http }) => lastProgress((listeners) => http.post('/400', 'x'.repeat(1_000), listeners)),
  'progress of nothing': ({ http }) => lastProgress((listeners) => http.get('/empty', listeners)),
}

module.exports = { LIMITS }
