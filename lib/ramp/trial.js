'use strict'

const accepted = ({ status }) => status >= 200 && status < 300

/** What came of one plateau, in numbers: `{ name, offered, accepted, refused, dropped, latencyMs, offsets, stopped, … }`. */
function measure({ name, phase }, { observations, stopped, startAt }, windowMs) {
  const answers = observations.filter(({ answeredAt }) => answeredAt !== null)
  const sent = observations.filter(({ dropped }) => !dropped)
  const latencies = answers.map(({ answeredAt, sentAt }) => answeredAt - sentAt)
  // From the time that the schedule wanted: a server that is waited for is no faster for it.
  const delays = answers.map(({ answeredAt, intendedAt }) => answeredAt - intendedAt).sort((a, b) => a - b)
  const lateness = sent.map(({ sentAt, intendedAt }) => sentAt - intendedAt).sort((a, b) => a - b)
  return {
    name,
    phase,
    startAt,
    stopped,
    windowMs,
    observations,
    offered: observations.length,
    accepted: answers.filter(accepted).length,
    refused: answers.filter(({ status }) => status === 429).length,
    /** Which arrival was refused first; none is beyond all. */
    refusedIndex: Math.min(...answers.filter(({ status }) => status === 429).map(({ index }) => index)),
    dropped: observations.length - sent.length,
    latencyMs: latencies.length === 0 ? null : Math.max(...lowest(latencies)),
    failed: answers.filter(({ status }) => status === 0 || status >= 500).length,
    p50Ms: quantile(delays, 0.5),
    p99Ms: quantile(delays, 0.99),
    lateMs: quantile(lateness, 0.99),
    /** When each accepted one was sent, after the plateau's start. */
    offsets: answers.filter(accepted).map(({ intendedAt }) => intendedAt - startAt),
  }
}

/** The value below which the share of the sorted values lies; 0 if there are none. */
function quantile(sorted, share) {
  return sorted.length === 0 ? 0 : sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]
}

/** Without the slowest hundredth, which one stall may have made. */
function lowest(values) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted.slice(0, Math.max(1, Math.ceil(0.99 * sorted.length)))
}

/**
 * The bounds of a bucket that holds as many as flow in within a window, from a plateau that began with a full one: what it
 * gave until the first refusal is `size * (1 + elapsed / window)`, less what was on its way.
 */
function bucketBounds({ observations, stopped }, windowMs) {
  const sent = observations.filter(({ dropped, answeredAt }) => !dropped && answeredAt !== null)
  const first = sent[0]
  if (stopped !== '429') {
    const last = sent.at(-1)
    const count = sent.filter(accepted).length
    return [(count - 1) / (1 + (last.answeredAt - first.sentAt) / windowMs), Infinity]
  }
  let refusal = null
  for (const one of sent) if (one.status === 429 && (refusal === null || one.answeredAt < refusal.answeredAt)) refusal = one
  const given = sent.filter(accepted)
  // Surely before the refusal came those that were answered when it left; perhaps, those that left before it was answered.
  const surely = given.filter(({ answeredAt }) => answeredAt <= refusal.sentAt).length
  const perhaps = given.filter(({ sentAt }) => sentAt <= refusal.answeredAt).length
  const longest = refusal.answeredAt - first.sentAt
  const shortest = Math.max(0, refusal.sentAt - first.answeredAt)
  // All that was given, at all, needed room: the best lower bound is that of any moment.
  return [Math.max(surely / (1 + longest / windowMs), givenBound(given, first, windowMs)), (perhaps + 1) / (1 + shortest / windowMs)]
}

function givenBound(given, first, windowMs) {
  const last = given.at(-1)
  return last === undefined ? 0 : (given.length - 1) / (1 + (last.answeredAt - first.sentAt) / windowMs)
}

module.exports = { bucketBounds, measure }
