'use strict'

/**
 * The shortest time, in milliseconds, in which messages that arrive at these times can be sent by anybody who holds the
 * quota in every rolling window: each goes when it arrives, or a window after the one that is a quota before it.
 */
function idealTime(arrivalsMs, quota, perMs) {
  const sentMs = []
  for (const [index, atMs] of arrivalsMs.entries()) {
    sentMs.push(index < quota ? atMs : Math.max(atMs, sentMs[index - quota] + perMs))
  }
  return sentMs.at(-1) ?? 0
}

module.exports = { idealTime }
