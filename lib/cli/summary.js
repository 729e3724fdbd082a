'use strict'

const count = (value) => value.toLocaleString('en-US')
const seconds = (ms) => `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`

/** The value below which the share of the sorted values lies; 0 if there are none. */
function quantile(sorted, share) {
  if (sorted.length === 0) return 0
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]
}

/** `[label, how to show it]`, in the order in which a reader asks: is all there, in order, once, and when. */
const LINES = [
  ['messages', (run) => `${count(run.messages)} (${count(run.unique)} different)`],
  ['delivered', (run) => count(run.delivered)],
  ['lost', (run) => count(run.lost)],
  ['out of order', (run) => count(run.outOfOrder)],
  ['delivered twice', (run) => count(run.duplicatesDelivered)],
  ['duplicates recognized', (run) => count(run.duplicatesRecognized)],
  ['requests', (run) => count(run.requests)],
  ['answers of 429', (run) => count(run.throttled)],
  ['time', (run) => seconds(run.elapsedMs)],
  ['ideal time', (run) => `${seconds(run.idealMs)} (ratio ${(run.idealMs / run.elapsedMs).toFixed(3)})`],
  ['delay, median', (run) => seconds(run.delayMs.p50)],
  ['delay, 99th percentile', (run) => seconds(run.delayMs.p99)],
]

/** The runs side by side, one column each. */
function summaryTable(runs) {
  const heading = runs.length > 1 ? [['', ...runs.map((run) => run.name)]] : []
  return table([...heading, ...LINES.map(([label, show]) => [label, ...runs.map(show)])])
}

/** Rows of texts with their columns aligned. */
function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  return rows
    .map(
      (row) =>
        `${row
          .map((text, column) => text.padEnd(widths[column]))
          .join('   ')
          .trimEnd()}\n`,
    )
    .join('')
}

module.exports = { count, quantile, seconds, summaryTable, table }
