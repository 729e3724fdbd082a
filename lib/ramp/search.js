'use strict'

const { stall, strain } = require('./cause.js')
const { climb, even, hold, lateAgain, split } = require('./schedule.js')
const { bucketBounds, measure } = require('./trial.js')

/** Timers are no finer: arrivals that are closer leave together. */
const LATENCY_MIN_MS = 3
const PLATEAUS_MAX = 1000
const HOLD_WINDOWS_MAX = 12
/** With so many on their way, a bucket is emptied at half the pace: its level falls by few requests per latency. */
const MANY_ON_THEIR_WAY = 4
/** The part of a window between the first of a split plateau and the rest. */
const SPLIT_SHARE = 0.24
/** How much less than before a server may allow, by jitter and by others, as a share. */
const MARGIN = 0.015
/** The width of an interval that is wanted, as a share. */
const WIDTH = 0.02

/**
 * Looks for the limit: a generator that yields plateaus (`{ name, arrivals, phase, acceptedMax? }`; `phase` is the part of a
 * window by which it starts later than the grid) and gets what came of each (`{ observations, stopped }`). It knows no clock
 * and no network. It returns `{ counts, trials, ended }`.
 *
 * It comes from below: each plateau sends at once what is known to be allowed, and goes on a request at a time. Bisecting
 * would refuse a request for each one above the limit; this refuses one each time.
 */
function* search({ windowMs, repeat, countMax, askWhose = false }) {
  const state = new State(windowMs, 2 * repeat, askWhose)
  let ended = yield* baseline(state)
  if (ended === null) ended = yield* explore(state, countMax, repeat)
  if (ended !== '429') return state.result(ended)
  ended = (yield* repeatAndTell(state, repeat)) ?? '429'
  return state.result(ended)
}

class State {
  windowMs
  trials = []
  refused = 0
  refusedMax
  latencyMs = LATENCY_MIN_MS
  /** What each trial says about the limit of a window: exact counts. */
  counts = []
  /** Bounds of a bucket's size, from each trial: `[low, high]`. */
  bounds = []
  facts = {}
  breaking = null
  cleanPhase = 0
  baseMs = 0
  strained = null

  constructor(windowMs, refusedMax, askWhose) {
    this.askWhose = askWhose
    this.windowMs = windowMs
    this.refusedMax = refusedMax
  }

  /** Whether one more trial may break that costs as many refusals. */
  mayBeRefused(count = 1) {
    return this.refused + count <= this.refusedMax
  }

  *run(plan) {
    const answer = yield plan
    const trial = measure(plan, answer, this.windowMs)
    this.trials.push(trial)
    this.refused += trial.refused
    if (trial.latencyMs !== null) this.latencyMs = Math.max(LATENCY_MIN_MS, trial.latencyMs)
    return trial
  }

  result(ended) {
    return { ended, trials: this.trials, counts: this.counts, bounds: this.bounds, facts: this.facts, refused: this.refused }
  }
}

function* baseline(state) {
  const arrivals = even(3, 0, 0.3 * state.windowMs, 1)
  const trial = yield* state.run({ name: 'baseline', arrivals, phase: 0 })
  state.baseMs = trial.p99Ms
  if (trial.stopped !== '429') return trial.stopped
  // A limit of one or two: known already.
  state.counts.push(trial.accepted)
  return 'tiny'
}

/** Up, plateau by plateau, until the first refusal. Two phases take turns: a fixed window cuts one of them at most. */
function* explore(state, countMax, repeat) {
  const known = [0, 0]
  for (let turn = 0; turn < PLATEAUS_MAX; turn++) {
    const side = turn % 2
    const plan = {
      name: 'climb',
      arrivals: climb({ ...state, known: known[side], inFlightMax: repeat > 1 ? 2 : 1, countMax }),
      phase: side / 2,
    }
    const { latencyMs } = state
    const trial = yield* state.run(plan)
    if (trial.stopped === '429') {
      state.breaking = { ...trial, side, known }
      return '429'
    }
    if (trial.stopped !== null) return trial.stopped
    // Twice in a row: one stall is nobody's limit.
    const strained = strain(trial, state.baseMs)
    if (strained !== null && strained === state.strained) return strained
    state.strained = strained
    if (strained !== null) {
      // The next one is to be the same load: planned with the latency of the strain, it would be a smaller one.
      state.latencyMs = latencyMs
      continue
    }
    if (trial.accepted <= known[side] && trial.dropped > 0) return stall(trial)
    known[side] = trial.accepted
    if (Math.min(...known) >= countMax) return 'not-reached'
  }
  return 'not-reached'
}

/** The first break again, in other shapes: each measures the limit once more, and together they tell what limits. */
function* repeatAndTell(state, repeat) {
  const { breaking } = state
  state.cleanPhase = breaking.side / 2
  const tolerance = Math.max(1, Math.ceil(0.025 * breaking.accepted))
  const limit = breaking.accepted + tolerance + 1
  // What had passed before, only slower, was refused: a window wouldn't, so the other phase has nothing to tell.
  if (breaking.refusedIndex < breaking.known[breaking.side] && repeat > 1) {
    const bucket = yield* tellBucket(state, breaking, breaking)
    if (bucket.ended !== null) return bucket.ended
    if (bucket.is) return yield* fillBucket(state, breaking, repeat)
  }
  const second = yield* climbTo(state, {
    side: 1 - breaking.side,
    known: Math.max(breaking.known[1 - breaking.side], Math.floor(breaking.accepted / 2) - 1),
    limit,
  })
  if (second.ended !== null) return second.ended
  state.facts.phases = { first: breaking.accepted, second: second.accepted, exceeded: second.exceeded }
  const clean = second.exceeded || second.accepted >= breaking.accepted ? breaking : { ...second, side: 1 - breaking.side }
  state.cleanPhase = clean.side / 2
  if (repeat === 1 || !state.mayBeRefused()) {
    state.counts.push(...[breaking, second].filter((trial) => !trial.exceeded).map((trial) => trial.accepted))
    return null
  }
  const isCut = !second.exceeded && Math.abs(second.accepted - breaking.accepted) > tolerance

  const bucket = yield* tellBucket(state, clean, clean.side === breaking.side && !second.exceeded ? second : clean)
  if (bucket.ended !== null) return bucket.ended
  if (bucket.is) return yield* fillBucket(state, clean, repeat)
  state.counts.push(clean.accepted)
  if (!second.exceeded && !isCut) state.counts.push(second.accepted)
  if (bucket.count !== null) state.counts.push(bucket.count)
  const told = yield* tellWindows(state)
  if (told !== null) return told
  if (state.trials.at(-1).stopped !== '429' && state.askWhose && state.refused + 2 <= state.refusedMax) {
    const full = yield* climbTo(state, { side: 2 * state.cleanPhase, known: Math.min(...state.counts) - 1, limit })
    if (full.ended !== null) return full.ended
  }
  return state.trials.at(-1).stopped === '429' ? yield* askWhose(state) : null
}

/** Whether late requests pass beyond the count that was refused, in both phases. */
function* tellBucket(state, clean, other) {
  const late = yield* lateRefill(state, clean, state.cleanPhase)
  if (late.ended !== null) return late
  state.facts.late = { exceeded: late.exceeded, again: null }
  if (!late.exceeded) return { ended: null, is: false, count: late.accepted }
  // A fixed window that ends between the two parts looks the same; half a window later it can't.
  const again = yield* lateRefill(state, { ...other, offsets: safeOffsets(other, clean) }, (state.cleanPhase + 0.5) % 1)
  if (again.ended !== null) return again
  state.facts.late.again = again.exceeded
  if (!again.exceeded) state.cleanPhase = (state.cleanPhase + 0.5) % 1
  return { ended: null, is: again.exceeded, count: null }
}

/** While a window is full: does it concern another conversation, and another route? One request each. */
function* askWhose(state) {
  for (const kind of ['other', 'limitsRoute']) {
    if (!state.askWhose || !state.mayBeRefused() || (kind === 'limitsRoute' && (state.askWhose !== 'both' || state.facts.other !== 429)))
      return null
    const trial = yield* state.run({ name: 'whose', immediate: true, arrivals: [{ atMs: 0, other: kind }], phase: 0 })
    const status = trial.observations[0]?.status ?? null
    if (trial.stopped !== null && trial.stopped !== '429') return trial.stopped
    state.facts[kind] = status
  }
  return null
}

/** Up to a limit in one phase; refused once at most. */
function* climbTo(state, { side, known, limit }) {
  let safe = Math.max(0, known)
  for (let turn = 0; turn < PLATEAUS_MAX; turn++) {
    const arrivals = climb({ ...state, known: safe, inFlightMax: 1, countMax: limit, tail: Math.floor(MARGIN * safe) })
    const trial = yield* state.run({ name: 'repeat', arrivals, phase: side / 2, acceptedMax: limit })
    if (trial.stopped === '429') return { ...trial, exceeded: false, ended: null }
    if (trial.stopped !== null) return { ...trial, exceeded: false, ended: trial.stopped }
    if (trial.accepted >= limit) return { ...trial, exceeded: true, ended: null }
    if (trial.accepted <= safe) return { ...trial, exceeded: false, ended: stall(trial) }
    safe = trial.accepted
  }
  return { exceeded: false, ended: 'client' }
}

/** As many arrivals as were accepted in the other phase, as they were: what is allowed there may be less. */
function safeOffsets(trial, clean) {
  return trial.offsets.slice(0, Math.min(trial.offsets.length, clean.accepted))
}

/** The same arrivals, and the last ones late: does something flow back meanwhile, as into a bucket? */
function* lateRefill(state, trial, phase) {
  const tolerance = Math.max(1, Math.ceil(0.025 * trial.accepted))
  const limit = trial.accepted + tolerance + 1
  // Close to its limit a bucket refuses by the jitter of the network: those few come late, too.
  const margin = Math.max(2, Math.ceil(MARGIN * trial.accepted))
  const offsets = trial.offsets.slice(0, Math.max(1, trial.accepted - margin))
  let lateKnown = 0
  for (let turn = 0; turn < PLATEAUS_MAX; turn++) {
    const arrivals = lateAgain({ ...state, offsets, lateKnown, countMax: limit + 1 - offsets.length - lateKnown })
    const late = yield* state.run({ name: 'late', arrivals, phase, acceptedMax: limit })
    if (late.stopped === '429') return { ...late, exceeded: false, ended: null }
    if (late.stopped !== null) return { ...late, exceeded: false, ended: late.stopped }
    if (late.accepted >= limit) return { ...late, exceeded: true, ended: null }
    if (late.accepted <= offsets.length + lateKnown) return { ...late, exceeded: false, ended: stall(late) }
    lateKnown = late.accepted - offsets.length
  }
  return { exceeded: false, ended: 'client' }
}

/** Fixed, opened or sliding: what of an earlier part of the limit still counts? */
function* tellWindows(state) {
  const { windowMs, latencyMs, cleanPhase } = state
  const limit = Math.min(...state.counts)
  // The probes have to come before the rest of the limit is a window old.
  const probesMax = Math.floor((SPLIT_SHARE * windowMs) / latencyMs)
  const spread = Math.min(Math.max(3, Math.floor((probesMax - 6) / 3)), Math.max(...state.counts) - limit)
  const few = Math.max(1, Math.min(2 + 2 * spread, Math.floor(limit / 2)))
  const rest = limit - few - spread
  const probes = few + spread + 2
  const shape = { few, rest, probes, latencyMs }
  if (!state.mayBeRefused() || rest < 1) return null
  const settleMs = 1.5 * latencyMs
  const sliding = yield* state.run({
    name: 'split',
    arrivals: split({ ...shape, restFromMs: SPLIT_SHARE * windowMs, restUntilMs: 0.4 * windowMs, probeFromMs: windowMs + settleMs }),
    phase: cleanPhase,
  })
  if (sliding.stopped !== null && sliding.stopped !== '429') return sliding.stopped
  state.facts.sliding = { refused: sliding.stopped === '429', after: sliding.accepted - few - rest }
  if (sliding.stopped === '429' || !state.mayBeRefused()) return null
  // An edge of the server lies outside the clean phase: with one of these two it lies outside the gap, too.
  for (const phase of [0.45, 0.08]) {
    if (!state.mayBeRefused()) return null
    const opened = yield* state.run({
      name: 'split',
      arrivals: split({
        few: 1,
        rest: limit - 1 - spread,
        probes: spread + 2,
        latencyMs,
        restFromMs: 0.57 * windowMs,
        restUntilMs: 0.75 * windowMs,
        probeFromMs: windowMs + settleMs,
      }),
      phase: (cleanPhase + phase) % 1,
    })
    if (opened.stopped !== null && opened.stopped !== '429') return opened.stopped
    state.facts.opened = { refused: opened.stopped === '429' }
    if (state.facts.opened.refused) return null
  }
  return null
}

/** A bucket is measured while it is nearly empty, for so long that latency hardly matters. */
function* fillBucket(state, clean, repeat) {
  const { windowMs } = state
  state.facts.bucket = true
  let [low, high] = bucketBounds(clean, windowMs)
  state.bounds.push([low, high])
  for (let turn = 0; turn < Math.max(2, repeat); turn++) {
    // It may be refused more than once, with several on their way: with one refusal left, only if that is needed.
    if (!state.mayBeRefused(high - low > WIDTH * high ? 1 : 2) || high - low < 1) break
    const guess = (low + high) / 2
    const pace = (guess * state.latencyMs) / windowMs < MANY_ON_THEIR_WAY ? 2 : 4
    const forMs = Math.min(HOLD_WINDOWS_MAX * windowMs, Math.max(windowMs, (pace * state.latencyMs) / WIDTH))
    const burst = Math.max(1, Math.floor(0.97 * low))
    const level = Math.max(1, 1.1 * guess - burst)
    const ratePerMs = (guess + (level * windowMs) / forMs) / windowMs
    const arrivals = hold({ burst, ratePerMs, windowMs, forMs: 2 * forMs })
    const trial = yield* state.run({ name: 'hold', arrivals, phase: 0 })
    if (trial.stopped !== null && trial.stopped !== '429') return trial.stopped
    const [least, most] = bucketBounds(trial, windowMs)
    low = Math.max(low, least)
    high = Math.min(high, most)
    state.bounds.push([least, most])
  }
  return null
}

module.exports = { search }
