// The benches of what Spillway promises about cost, each a row in a file of its own.
//
//   node bench/run.mjs            all of them, into bench/results/performance.md and .json
//   node bench/run.mjs memory     one of them, printed; its figures into bench/results/memory.json
import { mkdirSync, writeFileSync } from 'node:fs'

import { machine, publish, table } from './harness.mjs'

const ROWS = ['throughput', 'cpu', 'main-thread', 'event-loop', 'enqueue', 'memory', 'scale', 'idle', 'workers', 'delay', 'tls']

const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !ROWS.includes(name))
if (unknown.length > 0) throw new Error(`no such row: ${unknown.join(', ')}; there are ${ROWS.join(', ')}`)

const rows = []
const figures = {}
for (const name of asked.length > 0 ? asked : ROWS) {
  const { run } = await import(new URL(`${name}.mjs`, import.meta.url))
  const startedAt = performance.now()
  const result = await run()
  process.stderr.write(`${name}: ${Math.round((performance.now() - startedAt) / 1_000)} s\n`)
  rows.push(...result.rows)
  figures[name] = result
}

const shown = table(rows.map(cells), [
  ['what', 'what'],
  ['bar', 'bar'],
  ['median', 'median'],
  ['lowest to highest', 'spread'],
  ['holds', 'holds'],
  ['in figures', 'note'],
])
if (asked.length === 0) {
  const body = `${shown}\n\nEach row is the median of 5 rounds or more. Multiples are of what the other made in the same round.`
  publish('performance', { title: 'Performance', sections: [{ body }], figures })
} else {
  const folder = new URL('results/', import.meta.url)
  mkdirSync(folder, { recursive: true })
  for (const name of asked) {
    writeFileSync(new URL(`${name}.json`, folder), `${JSON.stringify({ machine: machine(), ...figures[name] }, null, 2)}\n`)
  }
  process.stdout.write(`${shown}\n`)
}

function cells({ what, bar, unit, median, min, max, note = '' }) {
  const holds = 'atLeast' in bar ? median >= bar.atLeast : median <= bar.atMost
  return {
    what,
    bar: 'atLeast' in bar ? `≥ ${number(bar.atLeast)} ${unit}`.trim() : `≤ ${number(bar.atMost)} ${unit}`.trim(),
    median: `${number(median)} ${unit}`.trim(),
    spread: `${number(min)} to ${number(max)}`,
    holds: holds ? 'yes' : 'no',
    note,
  }
}

function number(value) {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return value.toLocaleString('en-US', { maximumFractionDigits: digits })
}
