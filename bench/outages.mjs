// What outages cost: the rows of crates/core/tests/recovery with many seeds each on a virtual clock, and a minute of 503
// over real HTTP for Spillway and what else there is. Results in bench/results/outages.*.
//
//   npm run bench:outages               a hundred seeds per row, about fifteen minutes; fails where a row misses a bar
//   npm run bench:outages -- 20         another number of seeds
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { startRedis } from '../__test__/redis.js'
import { contest } from './contest.mjs'
import { publish, table } from './harness.mjs'

const ROOT = fileURLToPath(new URL('../', import.meta.url))
const CARGO = ['test', '--package', 'spillway-core', '--test', 'recovery', '--profile', 'dev-release', '--locked']
const seeds = Number(process.argv[2] ?? 100)

const BEFORE_MS = 10_000
const OUTAGE_MS = 60_000
const ENDS_MS = BEFORE_MS + OUTAGE_MS
const UNTIL_MS = 240_000
const TRAFFIC = { messages: 1_200, gapMs: 100, conversations: 50 }
const QUOTA = { requests: 20, perMs: 1_000 }
const EVERY_MS = 100
/** The full rate is reached where so much of it is accepted in so many readings. */
const FULL = 0.9
const FULL_READINGS = 50

const CLIENTS = [
  { peer: 'spillway', name: 'Spillway', settings: 'defaults' },
  { peer: 'hand-rolled', name: 'axios, hand-rolled', settings: '8 tries, full jitter from 200 ms' },
  { peer: 'axios-retry', name: 'axios-retry', settings: '3 retries, `exponentialDelay`, POST allowed' },
  { peer: 'p-retry', name: 'p-retry + p-queue', settings: 'defaults: 10 retries from 1 s' },
  { peer: 'bullmq', name: 'BullMQ', settings: '3 attempts, exponential from 1 s' },
  { peer: 'undici-retry', name: 'undici RetryAgent', settings: 'defaults: 5 retries from 500 ms, POST allowed' },
]

function virtual() {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'spillway-figures-'))
  try {
    const env = { ...process.env, SPILLWAY_FIGURES: folder, SPILLWAY_SEEDS: String(seeds) }
    const { status } = spawnSync('cargo', CARGO, { cwd: ROOT, env, stdio: ['ignore', 'inherit', 'inherit'] })
    const rows = readdirSync(folder).map((name) => JSON.parse(readFileSync(path.join(folder, name), 'utf8')))
    return { status, rows: rows.sort((one, other) => one.kind.localeCompare(other.kind) || other.ambiguous.localeCompare(one.ambiguous)) }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function real({ peer, name, settings }) {
  const { readings, ledger, settled, failed } = await contest({
    peer,
    told: QUOTA,
    messages: TRAFFIC.messages,
    conversations: TRAFFIC.conversations,
    atMs: Array.from({ length: TRAFFIC.messages }, (_, index) => index * TRAFFIC.gapMs),
    config: { quota: { ...QUOTA, algorithm: 'sliding-log' }, latencyMs: { min: 20, max: 60 }, everyMs: EVERY_MS },
    turns: [{ afterMs: BEFORE_MS, config: { outages: [{ kind: 'status', status: 503, forMs: OUTAGE_MS }] } }],
    untilMs: UNTIL_MS,
  })
  const after = readings.filter(({ atMs }) => atMs >= ENDS_MS)
  const at = (ms) => readings.findLast(({ atMs }) => atMs <= ms)
  const wanted = FULL * QUOTA.requests * ((FULL_READINGS * EVERY_MS) / QUOTA.perMs)
  const full = after.findIndex((one, index) => after[index + FULL_READINGS]?.accepted - one.accepted >= wanted)
  const perSecond = after.map((one, index) => (after[index + 1_000 / EVERY_MS]?.arrivals ?? 0) - one.arrivals)
  return {
    name,
    settings,
    lost: failed,
    unsettled: TRAFFIC.messages - settled,
    requests: at(ENDS_MS).arrivals - at(BEFORE_MS).arrivals,
    backMs: full < 0 ? null : after[full].atMs - ENDS_MS,
    burst: Math.max(...perSecond),
    refused: ledger.refused,
    outOfOrder: ledger.orderViolations,
  }
}

async function contests() {
  const redis = await startRedis()
  process.env.SPILLWAY_BENCH_REDIS = String(redis.port)
  try {
    // At once: each is a few requests per second, and most of it is waiting.
    return await Promise.all(CLIENTS.map(real))
  } finally {
    await redis.stop()
  }
}

const seconds = (ms) => (ms === null ? 'never' : `${(ms / 1_000).toFixed(1)} s`)

const virtualTable = (rows) =>
  table(
    rows.map(({ kind, ambiguous, lost, twice, unknown, unknownMax, firstMinute, perTenSecondsLater, backMs, overPaced }) => ({
      kind,
      ambiguous,
      lost,
      twice,
      unknown: `${unknown.median} / ${unknown.most}`,
      unknownMax: `${unknownMax.median} / ${unknownMax.most}`,
      first: `${firstMinute.median} / ${firstMinute.most}`,
      later: perTenSecondsLater ?? '–',
      back: seconds(backMs.median),
      worst: seconds(backMs.worst),
      over: overPaced,
    })),
    [
      ['outage', 'kind'],
      ['`ambiguous`', 'ambiguous'],
      ['lost', 'lost'],
      ['sent twice', 'twice'],
      ['unknown outcome', 'unknown'],
      ['may be', 'unknownMax'],
      ['requests, first minute', 'first'],
      ['then per 10 s', 'later', 2],
      ['full rate after', 'back'],
      ['worst', 'worst'],
      ['over the paced rate', 'over'],
    ],
  )

const section = (minutes, rows) => ({
  heading: `${minutes === 1 ? 'One minute' : `${minutes} minutes`}, on the virtual clock`,
  body: virtualTable(rows.filter((row) => row.minutes === minutes)),
})

const { status, rows } = virtual()
const clients = await contests()
publish('outages', {
  title: 'What outages cost',
  sections: [
    {
      heading: 'The setting',
      body: [
        `${seeds} seeds per row (\`crates/core/tests/recovery\`): the dispatcher with its default settings and steady traffic at 50 to 90 % of a budget of 1 to 50`,
        'requests per second. Outages are up to ten seconds shorter than their length, so that their end meets every moment between two probes.',
        '',
        "*Lost*: dead letters other than those that `ambiguous: 'fail'` promises, and messages that never ended. *Sent twice*, with `'fail'`: left again after an",
        'unknown outcome, or accepted twice. *Unknown outcome*: dead letters marked `ambiguous`, the median and the highest of any seed. *May be*: the most that the run',
        'may have: the requests that left before the first unknown outcome, five that detect the outage (four in a row, two on the wire at a time), and, in *cut after',
        'acceptance*, the probes. *Requests*: all that left during the outage, median and most; after the first minute, of the seed with the most.',
        '*Full rate after*: from the end of the outage until 90 % of the budget leaves for five seconds; median and worst seed. *Over the paced rate*: the most',
        'requests in any second afterwards, less the paced rate.',
        '',
        'Bars: lost 0, sent twice 0, at most one request per ten seconds after the first minute, full rate after at most 15 s, at most one request over the',
        'paced rate. Where no connection can be made, an attempt to connect every one or two seconds, which is no request, finds the end. Where only a request can,',
        'outages of a minute keep the bar of 5 s for the median; in longer ones the next probe is five seconds away on average, so nobody who asks once',
        'per ten seconds has a median below five seconds and a round trip.',
        '',
        "The row *cut after acceptance* with `'fail'` has no such bar: everything that is safe to repeat is answered there, only messages fail, and each that finds out",
        'is one more unknown outcome. They are risked at intervals that double up to `retry.maxPauseMs` (three minutes), so finding the',
        'end takes up to that time, and less after a short outage. A message every ten seconds would find it within fifteen, at the price of 360 such dead letters',
        'per hour. A smaller `maxPauseMs` is between the two.',
      ].join('\n'),
    },
    ...[1, 10, 60].map((minutes) => section(minutes, rows)),
    {
      heading: 'A minute of 503, over real HTTP',
      body: [
        `${TRAFFIC.messages.toLocaleString('en-US')} messages of ${TRAFFIC.conversations} conversations, one per ${TRAFFIC.gapMs} ms; the server allows ${QUOTA.requests} requests per second and answers 503 to everything from`,
        `second ${BEFORE_MS / 1_000} to second ${ENDS_MS / 1_000}. Stopped after ${UNTIL_MS / 1_000} s. One run each, at the same time on one machine. *Most in a second*: arrivals after the outage.`,
        '*Never*: it never accepted 90 % of the budget for five seconds, since too little was left to send or it came too slowly.',
        '',
        table(
          clients.map((client) => ({ ...client, back: seconds(client.backMs) })),
          [
            ['client', 'name'],
            ['settings', 'settings'],
            ['lost', 'lost'],
            ['not sent by then', 'unsettled'],
            ['requests in the outage', 'requests'],
            ['full rate after', 'back'],
            ['most in a second', 'burst'],
            ['429s', 'refused'],
            ['out of order', 'outOfOrder'],
          ],
        ),
      ].join('\n'),
    },
  ],
  figures: { seeds, rows, realHttp: { quota: QUOTA, traffic: TRAFFIC, outageMs: OUTAGE_MS, clients } },
})
process.exitCode = status ?? 1
