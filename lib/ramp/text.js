'use strict'

const UNITS = [
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1000, 's'],
  [1, 'ms'],
]
const NAMES = {
  'fixed-window': 'fixed window (by the clock of the server)',
  'opened-window': 'fixed window, opened by its first request',
  'sliding-log': 'sliding log',
  'token-bucket': 'token bucket',
}

/** `1 s`, `60 s` is `1 m`. */
function spanText(ms) {
  const [unit, name] = UNITS.find(([length]) => ms % length === 0)
  return `${ms / unit} ${name}`
}

function number(value) {
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 100 ? 1 : 0 })
}

function intervalText({ interval, windowMs }) {
  if (interval === null) return 'not found'
  const { low, high } = interval
  return `${low === high ? number(low) : `${number(low)} to ${number(high)}`} requests per ${spanText(windowMs)}`
}

function algorithmText({ name }) {
  return name === null ? 'a window (which kind was not told apart)' : NAMES[name]
}

function scopeText({ scope, key, namespace }) {
  return key === undefined ? scope : `${namespace}/${key}`
}

/** `[label, text]` of the report, in the order in which a reader asks. */
function summaryRows(report) {
  const { interval, windowMs, width } = report
  const rows = [
    ['limit', interval === null ? 'not found' : intervalText(report)],
    ['ended', report.cause],
  ]
  if (interval !== null) {
    const rates = [interval.low, interval.high].map((value) => number((value * 1000) / windowMs))
    rows.splice(1, 0, [
      'rate',
      `${rates[0] === rates[1] ? rates[0] : rates.join(' to ')} requests per second (interval ${number(100 * width)} % wide)`,
    ])
    rows.push(['algorithm', algorithmText(report.algorithm)])
    rows.push(['whose limit', scopeText(report.scope)])
  }
  if (report.perConversation !== null) rows.push(['per conversation', `${number(report.perConversation)} per ${spanText(windowMs)}`])
  rows.push(['requests', number(report.requests)], ['answers of 429', number(report.refusals429)])
  if (report.recommended !== null)
    rows.push(['rateLimit', `{ requests: ${report.recommended.requests}, perMs: ${report.recommended.perMs} }`])
  if (report.verify !== null) {
    const { sent, throttled, rateLimit } = report.verify
    rows.push([
      'verified',
      `${number(sent)} messages through a Sender at ${rateLimit.requests} per ${spanText(rateLimit.perMs)}: ${number(throttled)} answers of 429`,
    ])
  }
  return rows
}

module.exports = { algorithmText, intervalText, number, scopeText, spanText, summaryRows }
