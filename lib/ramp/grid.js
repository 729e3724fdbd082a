'use strict'

/** When a plateau starts: on the grid of windows, later by its phase, and not before a whole window without a request. */
function startOf({ originAt, windowMs, quietSince, notBefore, phase }) {
  const earliest = Math.max(quietSince + windowMs, notBefore)
  const windows = Math.ceil((earliest - originAt) / windowMs - phase - 1e-9)
  return originAt + (Math.max(0, windows) + phase) * windowMs
}

module.exports = { startOf }
