'use strict'

/**
 * One signal for both ways in which axios cancels. `reason()` is the CanceledError of the side that canceled, `end` lets go of
 * both.
 */
function cancellation(axios, config, request) {
  const { signal, cancelToken } = config
  if (!signal && !cancelToken) return { signal: undefined, reason: () => undefined, end() {} }
  const controller = new AbortController()
  let canceled
  const cancel = (reason) => {
    // A token gives the error itself, a signal an event.
    canceled ??= reason && !reason.type ? reason : new axios.CanceledError(null, config, request)
    controller.abort(canceled)
  }
  cancelToken?.subscribe(cancel)
  if (signal?.aborted) cancel()
  else signal?.addEventListener('abort', cancel)
  return {
    signal: controller.signal,
    reason: () => canceled,
    end() {
      cancelToken?.unsubscribe(cancel)
      signal?.removeEventListener('abort', cancel)
    },
  }
}

module.exports = { cancellation }
