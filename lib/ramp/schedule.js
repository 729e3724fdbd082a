'use strict'

/** Part of the window in which a plateau sends: so short that of two plateaus half a window apart, a fixed window cuts one at most. */
const SENDING_SHARE = 0.44
/** What is known is sent within this part of the window; slower where that leaves few on their way at once. */
const KNOWN_SHARE_MIN = 0.1
const KNOWN_SHARE_MAX = 0.2
/** A pause after what is known to be allowed, in latencies: its answers are here when one request at a time goes on. */
const SETTLE_LATENCIES = 1.3
/** However fast a server answers, a plateau adds no more than this times what is known. */
const GROWTH = 2
const GROWTH_MIN = 8
/** Where a bucket could fill faster than careful requests empty it, the next plateau may meet all that this one adds. */
const GROWTH_UNSEEN = 3

/** `count` arrivals, evenly from `fromMs` on. */
function even(count, fromMs, untilMs, inFlightMax) {
  const stepMs = (untilMs - fromMs) / Math.max(count, 1)
  return Array.from({ length: count }, (_, index) => ({ atMs: fromMs + index * stepMs, ...(inFlightMax && { inFlightMax }) }))
}

/** Arrivals that go beyond what is known: as many as answers come in time, so that few meet a limit at once. */
function careful(fromMs, untilMs, { latencyMs, inFlightMax, countMax }) {
  const stepMs = (1.02 * latencyMs) / inFlightMax
  const fits = Math.max(0, Math.min(Math.floor((untilMs - fromMs) / stepMs), countMax))
  return even(fits, fromMs, fromMs + fits * stepMs, inFlightMax)
}

function knownMs(known, windowMs, latencyMs) {
  return Math.min(KNOWN_SHARE_MAX * windowMs, Math.max(KNOWN_SHARE_MIN * windowMs, known * latencyMs))
}

/**
 * A plateau: what is known to be allowed at once, then on from there. With `tail`, the last of what is known go as carefully as what
 * follows, so that they are not all on their way where a little less is allowed than before.
 */
function climb({ known, windowMs, latencyMs, inFlightMax, countMax, tail = 0 }) {
  const spanMs = knownMs(known, windowMs, latencyMs)
  const settled = known === 0 ? 0 : spanMs + SETTLE_LATENCIES * latencyMs
  const isSeen = inFlightMax / latencyMs > (1.5 * known) / windowMs
  const growth = isSeen ? Math.max(GROWTH_MIN, known * (GROWTH - 1)) : GROWTH_UNSEEN
  const untilMs = Math.max(settled, SENDING_SHARE * windowMs)
  // At most a half of what fits, so that each plateau goes beyond the one before.
  const slowly = Math.min(tail, known, careful(settled, untilMs, { latencyMs, inFlightMax, countMax: 2 * tail }).length >> 1)
  const beyond = careful(settled, untilMs, { latencyMs, inFlightMax, countMax: Math.min(slowly + growth, slowly + countMax - known) })
  return [...even(known - slowly, 0, spanMs), ...beyond]
}

/** The first arrivals of a plateau again, as they were; late in the window what is known to pass there; then one at a time. */
function lateAgain({ offsets, lateKnown, windowMs, latencyMs, countMax }) {
  const fromMs = Math.max(Math.min(SENDING_SHARE * windowMs - 6 * latencyMs, 0.41 * windowMs), 0.38 * windowMs)
  const carefulMs = lateKnown === 0 ? fromMs : fromMs + 0.02 * windowMs + SETTLE_LATENCIES * latencyMs
  const untilMs = Math.max(0.47 * windowMs, carefulMs + 3 * latencyMs)
  return [
    ...offsets.map((atMs) => ({ atMs })),
    ...even(lateKnown, fromMs, fromMs + 0.02 * windowMs),
    ...careful(carefulMs, untilMs, { latencyMs, inFlightMax: 1, countMax }),
  ]
}

/** A few, the rest of the limit later, and after the window of the few: which of them still count? */
function split({ few, rest, restFromMs, restUntilMs, probeFromMs, probes, latencyMs }) {
  return [
    ...even(few, 0, 0.001),
    ...even(rest, restFromMs, restUntilMs),
    ...even(probes, probeFromMs, probeFromMs + probes * latencyMs * 1.05, 1),
  ]
}

/** Nearly all of a bucket, then a steady rate a little above what flows in. */
function hold({ burst, ratePerMs, windowMs, forMs }) {
  const fromMs = KNOWN_SHARE_MIN * windowMs
  return [...even(burst, 0, fromMs), ...even(Math.ceil(forMs * ratePerMs), fromMs, fromMs + forMs)]
}

module.exports = { climb, even, hold, lateAgain, SENDING_SHARE, split }
