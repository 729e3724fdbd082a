'use strict'

/** What a search has found: the interval, per window, and the algorithm with its evidence. */
function verdictOf({ ended, counts, bounds, facts, trials }, windowMs) {
  const algorithm = algorithmOf(facts, counts)
  const interval = algorithm.name === 'token-bucket' ? bucketInterval(bounds) : countInterval(counts)
  const width = interval === null || interval.high === 0 ? null : (interval.high - interval.low) / interval.high
  return { ended, windowMs, interval, width, algorithm }
}

function countInterval(counts) {
  if (counts.length === 0) return null
  return { low: Math.min(...counts), high: Math.max(...counts) }
}

/** Each trial's bounds hold the size; so does what they have in common. A limit is a whole number. */
function bucketInterval(bounds) {
  let low = Math.max(...bounds.map(([least]) => least))
  let high = Math.min(...bounds.map(([, most]) => most))
  // Others' use may make them contradict each other.
  if (low > high) [low, high] = [high, low]
  const whole = { low: Math.ceil(low - 1e-9), high: Math.floor(high + 1e-9) }
  return whole.low <= whole.high ? whole : { low: Math.floor(low), high: Math.ceil(high) }
}

function algorithmOf({ phases, late, sliding, opened, bucket }, counts) {
  const evidence = []
  if (bucket) {
    evidence.push(
      'requests that came late in their window were accepted beyond the count that was refused before, whatever the phase: something flows back',
    )
    return { name: 'token-bucket', evidence }
  }
  if (phases !== undefined) {
    const { first, second, exceeded } = phases
    const tolerance = Math.max(1, Math.ceil(0.025 * first))
    if (exceeded || Math.abs(first - second) > tolerance) {
      evidence.push(
        `half a window later another count passed (${first} against ${exceeded ? 'more' : second}): an edge of the server's clock lies between`,
      )
    }
  }
  if (late?.exceeded && late.again === false) {
    evidence.push('late requests passed in one phase only: an edge of the server lies there')
  }
  if (evidence.length > 0) return { name: 'fixed-window', evidence }
  if (sliding === undefined) return { name: null, evidence: ['not told apart: it would have cost further refusals'] }
  if (sliding.refused) {
    evidence.push(
      `a window after the first of them, only as many passed as had been sent then (${sliding.after}): each request counts for a window of its own`,
    )
    return { name: 'sliding-log', evidence }
  }
  evidence.push('a window after the first of them, all passed: the whole count starts again')
  if (opened === undefined) return { name: null, evidence }
  if (opened.refused) {
    evidence.push(
      'a window after the first request of another phase, the count had not started again: windows follow the clock of the server',
    )
    return { name: 'fixed-window', evidence }
  }
  evidence.push('the count starts again a window after the first request, whatever the phase: that request opens the window')
  return { name: 'opened-window', evidence }
}

module.exports = { verdictOf }
