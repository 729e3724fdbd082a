'use strict'

const { setMaxListeners } = require('node:events')

const EXIT_INTERRUPTED = 130
const LONGEST_INTERVAL_MS = 2 ** 31 - 1

/**
 * A signal that aborts at the first SIGINT or SIGTERM, so that the command can close what it has open. The listeners
 * are gone then: the next Ctrl-C ends the process at once.
 */
function watchInterrupt(signals) {
  const controller = new AbortController()
  // Whatever waits in the command listens: thousands are no leak.
  setMaxListeners(0, controller.signal)
  const listener = () => {
    release()
    controller.abort()
  }
  const release = () => {
    signals.off('SIGINT', listener)
    signals.off('SIGTERM', listener)
  }
  signals.on('SIGINT', listener)
  signals.on('SIGTERM', listener)
  return { signal: controller.signal, release }
}

/** Nothing else may hold the event loop: here it is all there is to do. */
function untilAborted(signal) {
  return new Promise((resolve) => {
    const hold = setInterval(() => {}, LONGEST_INTERVAL_MS)
    const end = () => {
      clearInterval(hold)
      resolve()
    }
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}

module.exports = { EXIT_INTERRUPTED, untilAborted, watchInterrupt }
