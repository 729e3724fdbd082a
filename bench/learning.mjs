// What learning reaches: the rows of crates/core/tests/limits with a hundred seeds each on a virtual clock, into bench/results/learning.*.
//
//   npm run test:limits               a hundred seeds a row (minutes); fails where a row misses a bar
//   npm run test:limits -- 20         another number of them
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { publish, table } from './harness.mjs'

const ROOT = fileURLToPath(new URL('../', import.meta.url))
const seeds = Number(process.argv[2] ?? 100)
const CARGO = ['test', '--package', 'spillway-core', '--test', 'limits', '--profile', 'dev-release', '--locked']
/** The order of the table; what isn't told apart here stays in the order of the names. */
const ORDER = [
  'known, 60',
  'known',
  'learn, headers, 1 s, 20-30 ms',
  'learn, headers, 60 s, 20-200 ms',
  'learn, no headers, 1 s, 20-30 ms',
  'learn, no headers, 1 s, 20-200 ms',
  'learn, no reset header',
  'learn, Retry-After',
  'learn, limit named',
  'learn, readLimits',
  'beside',
]

const percent = (share) => `${(100 * share).toFixed(3)} %`
const rank = (row) => [
  row.includes('changes') || row.includes('others') || row.includes('10/s') ? 1 : 0,
  ORDER.findIndex((start) => row.startsWith(start)),
]

function measured() {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'spillway-figures-'))
  try {
    const env = { ...process.env, SPILLWAY_FIGURES: folder, SPILLWAY_SEEDS: String(seeds) }
    const { status } = spawnSync('cargo', CARGO, { cwd: ROOT, env, stdio: ['ignore', 'inherit', 'inherit'] })
    const rows = readdirSync(folder)
      .sort()
      .map((name) => JSON.parse(readFileSync(path.join(folder, name), 'utf8')))
    return { status, rows: rows.sort((one, other) => rank(one.row)[0] - rank(other.row)[0] || rank(one.row)[1] - rank(other.row)[1]) }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function lineOf({ row, goodput, refused, underBar }) {
  return {
    row,
    bar: goodput.bar,
    median: goodput.median,
    worst: goodput.worst.value,
    under: underBar.seeds === 0 ? '0' : `${underBar.seeds}, of the oracle ${underBar.oracleToo}`,
    oracle: underBar.oracleOnWorst ?? '–',
    refusedBar: percent(refused.bar),
    refused: percent(refused.median),
    refusedWorst: percent(refused.worst.value),
  }
}

const worstOf = ({ row, goodput, refused }) =>
  `- ${row}: goodput, seed ${goodput.worst.seed} (${goodput.worst.case}); 429s, seed ${refused.worst.seed} (${refused.worst.case})`

const { status, rows } = measured()
publish('learning', {
  title: 'What learning reaches',
  sections: [
    {
      heading: `${seeds} seeds a row`,
      body: [
        'Goodput is what was delivered of what the quota in force allows; at least a quarter of an hour of virtual time each, after 3 windows with',
        'headers or where `Retry-After` says how long windows last, and 30 without, and from 5 or 20 windows after each change on. 429s are counted after the warm-up, those that a change costs included. The bars hold',
        'for the median. In the rows *beside*, messages come at 80 % of the quota, the 429s are those of what is limited, and 99 in 100 messages take at',
        'most a second with every seed.',
        '',
        table(rows.map(lineOf), [
          ['row', 'row'],
          ['bar', 'bar', 3],
          ['median', 'median', 4],
          ['worst', 'worst', 4],
          ['seeds below the bar', 'under'],
          ['oracle on the worst', 'oracle', 4],
          ['429s: bar', 'refusedBar'],
          ['median', 'refused'],
          ['worst', 'refusedWorst'],
        ]),
      ].join('\n'),
    },
    {
      heading: 'The oracle',
      body: [
        'It is asked about each seed that stays below its bar. It is told what the learner has to find out (the quota of each moment, its',
        'window, the longest travel), sends whole quotas at once, and is given the best of five rests between them. It has the same evidence',
        'otherwise: it sees no arrivals, tries one request more every 20 windows where no header would show that the quota has grown, obeys',
        "the pause that the refusal of it asks for, and probes afterwards. Where others use the quota, it is a known quota's budget that is told what they leave.",
        '(`crates/core/tests/limits/oracle.rs`)',
        '',
        'An absurd `Retry-After` is in no row: a refusal asks for a day, and whoever obeys reaches nothing until then, an oracle that must try one more included.',
      ].join('\n'),
    },
    {
      heading: 'The worst seeds',
      body: `${rows.map(worstOf).join('\n')}\n\nOne of them again: \`SPILLWAY_SEED=<seed> cargo ${CARGO.join(' ')} -- --nocapture <test>\`.`,
    },
  ],
  figures: { seeds, rows },
})
process.exitCode = status ?? 1
