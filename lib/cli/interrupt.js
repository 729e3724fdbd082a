'use strict'

const { setMaxListeners } = require('node:events')

const EXIT_INTERRUPTED = 130

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

module.exports = { EXIT_INTERRUPTED, watchInterrupt }
