'use strict'

// What the outbox command prints for people.

const { printable } = require('./printer.js')
const { count, table } = require('./summary.js')

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
]

/** A time as ISO 8601 in UTC; a dash for none. */
function instant(ms) {
  if (ms === null || ms === undefined) return '-'
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString()
}

/** How long ago, in the largest unit of which it is one. */
function age(ms, now = Date.now()) {
  if (ms === null || ms === undefined) return '-'
  const span = Math.max(0, now - ms)
  const [unit, length] = UNITS.find(([, length]) => span >= length) ?? ['ms', 1]
  return `${Math.floor(span / length)} ${unit}`
}

function bytes(value) {
  return value === undefined ? '-' : count(value)
}

const at = (ms) => (ms === null || ms === undefined ? '-' : `${instant(ms)} (${describeDistance(ms)})`)

function describeDistance(ms, now = Date.now()) {
  return ms > now ? `in ${age(now - (ms - now), now)}` : `${age(ms, now)} ago`
}

const OWNERS = (owner) => (owner === null ? 'nobody' : owner === 0 ? 'another process' : `process ${owner}`)

function statsText({
  organization,
  organizations,
  owner,
  schema,
  createdAtMs,
  closed,
  files,
  lastSeq,
  messages,
  letters,
  receipts,
  budget,
}) {
  const reasons = Object.entries(letters.reasons).map(([reason, times]) => `${count(times)} × ${reason}`)
  const state = ['waiting', 'sent', 'retrying', 'bound'].map((name) => `${count(messages[name])} ${name}`).join(', ')
  return table([
    ['organization', printable(organization ?? '-')],
    ['organizations in the file', count(organizations)],
    ['opened by', OWNERS(owner)],
    ['closed by its last owner', closed ? 'yes' : 'no'],
    ['created', at(createdAtMs)],
    ['schema', String(schema)],
    ['file', `${count(files.bytes)} bytes, log ${count(files.logBytes)} bytes`],
    ['messages', `${count(messages.count)} (${count(messages.bytes)} bytes): ${state}`],
    ['of unknown outcome', count(messages.ambiguous + (owner === null ? messages.sent : 0))],
    ['oldest message', at(messages.oldestAtMs)],
    ['newest message', at(messages.newestAtMs)],
    ['last number', count(lastSeq)],
    ['dead letters', `${count(letters.count)} (${count(letters.bytes)} bytes)`],
    ['their reasons', reasons.join(', ') || 'none'],
    ['oldest dead letter', at(letters.oldestAtMs)],
    ['newest dead letter', at(letters.newestAtMs)],
    ['receipts', count(receipts.count)],
    ['oldest receipt', at(receipts.oldestAtMs)],
    ['newest receipt', at(receipts.newestAtMs)],
    ['budget saved', at(budget?.savedAtMs)],
    ['slots spent then', count(budget?.spent ?? 0)],
    ['requests since then', count(budget?.departed ?? 0)],
    ['pause until', pauseText(budget?.pause ?? null)],
    ['paused by an operator', holdText(budget?.hold ?? null)],
  ])
}

function pauseText(pause) {
  if (pause === null) return 'none'
  return pause.untilMs === null ? 'a probe was on its way' : at(pause.untilMs)
}

/** One that is over counts no more. */
function holdText(hold, now = Date.now()) {
  if (hold === null || (hold.untilMs !== null && hold.untilMs <= now)) return 'no'
  return `since ${at(hold.sinceMs)}, ${hold.untilMs === null ? 'until somebody ends it' : `until ${at(hold.untilMs)}`}`
}

function verdictText({ ok, checked, problems }) {
  const looked = Object.entries(checked).map(([table, rows]) => [table, count(rows)])
  const text = table([...looked, ['verdict', ok ? 'all as it was written' : `${count(problems.length)} kinds of problems`]])
  if (ok) return text
  const lines = problems.map(({ problem, count: times, examples }) => {
    const named = examples.length > 0 ? `: ${examples.join(', ')}${times > examples.length ? ', …' : ''}` : ''
    return `${count(times)} × ${printable(problem)}${named}\n`
  })
  return `${text}\n${lines.join('')}`
}

const KINDS = { message: 'message', letter: 'dead letter', receipt: 'receipt' }

/** One row, a line for each thing that is known of it. */
function report({ kind, ...row }) {
  const rows = Object.entries(row).filter(([, value]) => value !== null && value !== undefined)
  return table([[KINDS[kind], ''], ...rows.map(([key, value]) => [label(key), shown(key, value)])])
}

/** `firstAttemptAtMs` is `first attempt at`. */
function label(key) {
  return key.replace(/Ms$/, '').replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}

function shown(key, value) {
  if (key === 'queuedMs') return `${count(value)} ms`
  if (key.endsWith('Ms')) return at(value)
  return printable(typeof value === 'string' ? value : JSON.stringify(value))
}

module.exports = { age, bytes, instant, report, statsText, verdictText }
