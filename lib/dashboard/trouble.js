'use strict'

// What an organization's state means to whoever watches: how urgent, and why, in words.

/** From the most urgent on; pages sort by it. */
const LEVELS = ['down', 'trouble', 'held', 'busy', 'fine', 'idle', 'closed']
const OLD_MS = 5 * 60_000
const LISTED_MAX = 4
/** Of the requests of the last minutes: whoever learns a quota meets fewer. */
const THROTTLED_SHARE = 0.05

const OUTAGES = {
  auth: 'The credentials are refused',
  breaker: 'The server, or the way to it, fails',
  budget: 'The Redis of the shared budget does not answer',
  refused: 'The server refuses every message alike',
  token: 'No access token can be had',
}
const PAUSES = {
  organization: () => '429 for the organization',
  token: ({ token }) => `429 for the OAuth client ${token}`,
  unknown: () => '429 that names no limit',
  route: ({ route }) => `429 for ${route}`,
  conversation: ({ conversationId }) => `429 for conversation ${conversationId}`,
}

/** `{ level, causes }` of `stats()` and what was seen lately: `{ oldestMs, deadLetters, throttled, requests, rate }`. */
function troubleOf(stats, lately, now) {
  const causes = [...ofStore(stats), ...ofOutages(stats), ...ofPauses(stats), ...ofFleet(stats), ...ofQueue(stats, lately, now)]
  const urgent = LEVELS.find((level) => causes.some((cause) => cause.level === level))
  return { level: urgent ?? restLevel(stats, lately), causes: causes.slice(0, LISTED_MAX), more: Math.max(0, causes.length - LISTED_MAX) }
}

function ofStore({ store }) {
  return store?.problem ? [{ level: 'down', kind: 'store', text: store.problem.message }] : []
}

function ofOutages({ outages, outage }) {
  return outages.map(({ route, token, reason, message, sinceMs, nextProbeMs }) => ({
    // A route of calls that fails leaves the messages alone, and so does one of several OAuth clients.
    level: (route ?? token ?? null) === null || outage !== null ? 'down' : 'trouble',
    kind: 'outage',
    text: `${OUTAGES[reason] ?? reason}${(route ?? token ?? null) === null ? '' : `: ${route ?? token}`}${message === null ? '' : ` (${message})`}`,
    sinceMs,
    nextProbeMs,
  }))
}

function ofPauses({ pauses }) {
  // Whoever is behind an ended conversation waits for its turn: there may be hundreds, and nobody is to act.
  const stopping = pauses.filter(({ reason }) => reason !== 'ended')
  return stopping.map((pause) => ({
    level: pause.reason === 'operator' ? 'held' : 'trouble',
    kind: pause.reason === 'operator' ? 'operator' : 'pause',
    text: pause.reason === 'operator' ? 'Paused by an operator' : PAUSES[pause.scope](pause),
    sinceMs: pause.sinceMs,
    untilMs: pause.untilMs,
    nextProbeMs: pause.nextProbeMs,
  }))
}

function ofFleet({ fleet }) {
  if (fleet === null || fleet.problem === null) return []
  return [{ level: 'trouble', kind: 'fleet', text: `The Redis of the shared budget does not answer (${fleet.problem})` }]
}

function ofQueue({ queue, pauses }, { oldestMs, deadLetters, throttled, requests }, now) {
  const causes = []
  if (queue.messages > 0 && pauses.length === 0 && throttled > requests * THROTTLED_SHARE) {
    causes.push({ kind: 'throttled', text: `${count(throttled)} of ${count(requests)} requests answered with 429 in the last minutes` })
  }
  if (queue.waiting > 0) causes.push({ kind: 'full', text: `The outbox is full: ${count(queue.waiting)} wait for room` })
  if (queue.refused > 0) causes.push({ kind: 'refused', text: `${count(queue.refused)} refused, and tried again` })
  if (oldestMs !== null && now - oldestMs > OLD_MS) causes.push({ kind: 'age', text: 'The oldest waits for', sinceMs: oldestMs })
  if (deadLetters > 0) causes.push({ kind: 'letters', text: `${count(deadLetters)} dead letters in the last minutes` })
  return causes.map((cause) => ({ level: 'trouble', ...cause }))
}

function restLevel({ queue, budget }, { rate }) {
  if (queue.messages === 0) return rate > 0 ? 'fine' : 'idle'
  return budget.available === 0 ? 'busy' : 'fine'
}

const count = (value) => value.toLocaleString('en-US')

module.exports = { LEVELS, troubleOf }
