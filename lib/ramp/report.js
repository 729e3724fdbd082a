'use strict'

const { causeText } = require('./cause.js')
const { scopeOf } = require('./scope.js')
const { verdictOf } = require('./verdict.js')

/** Everything that a ramp has seen and concluded, as plain data: what the JSON file holds and the page shows. */
function reportOf({ found, refusals, limits, target, hasOther, settings, startedAt, elapsedMs, sent }) {
  const verdict = verdictOf(found, found.windowMs)
  const limit = refusals.find((refusal) => refusal.limit !== null)?.limit ?? null
  const scope = scopeOf({ ...found.facts, limit, hasOther, other: found.facts.other })
  const first = found.trials.find(({ stopped }) => stopped === '429')
  const perConversation = scope.scope === 'conversation' && first !== undefined ? countOfRefused(first) : null
  return {
    version: 1,
    target,
    startedAt,
    elapsedMs: Math.round(elapsedMs),
    settings,
    requests: sent,
    refusals429: found.refused,
    ended: found.ended,
    cause: causeText(found.ended),
    windowMs: found.windowMs,
    interval: verdict.interval,
    width: verdict.width,
    ratePerSecond: verdict.interval && {
      low: (verdict.interval.low * 1000) / found.windowMs,
      high: (verdict.interval.high * 1000) / found.windowMs,
    },
    perConversation,
    algorithm: verdict.algorithm,
    scope,
    recommended: recommendation(verdict, found.windowMs),
    told: compare(limit, limits, verdict.interval),
    limits,
    plateaus: found.trials.map(plateauRow),
    refusals,
    verify: null,
  }
}

function countOfRefused({ observations }) {
  const refused = observations.find(({ status }) => status === 429)
  return observations.filter(({ conversation, status }) => conversation === refused.conversation && status < 300 && status >= 200).length
}

/** The lower end, which every trial allowed: others' use is in it as it was during the ramp. */
function recommendation({ interval }, windowMs) {
  return interval === null || interval.low < 1 ? null : { requests: interval.low, perMs: windowMs }
}

/** What the server or its list of limits says, next to what was found. */
function compare(named, limits, interval) {
  const told = []
  if (named?.value) told.push({ source: 'the 429', key: named.key, namespace: named.namespace, value: named.value })
  for (const { key, namespace, value } of limits?.entities ?? []) {
    if (/rate|request/.test(String(key)) && Number.isFinite(value)) told.push({ source: 'the list of limits', key, namespace, value })
  }
  return told
    .slice(0, 50)
    .map((one) => ({ ...one, agrees: interval === null ? null : one.value >= interval.low && one.value <= interval.high }))
}

function plateauRow(trial) {
  const { name, phase, startAt, stopped, windowMs, offered, accepted, refused, failed, dropped, p50Ms, p99Ms, lateMs } = trial
  return {
    name,
    phase,
    startAt: Math.round(startAt),
    stopped,
    windowMs,
    offered,
    accepted,
    refused,
    failed,
    dropped,
    p50Ms: round(p50Ms),
    p99Ms: round(p99Ms),
    lateMs: round(lateMs),
  }
}

const round = (ms) => Math.round(ms * 10) / 10

module.exports = { reportOf }
