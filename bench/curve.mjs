// The quota drops to half and comes back while a backlog is sent: what reaches the server meanwhile. Draws the README's picture.
//
//   npm run bench:curve                  about three minutes
//   npm run bench:curve -- --redraw      from the figures of the last run
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

import { svg } from './chart.mjs'
import { contest } from './contest.mjs'
import { publish, table } from './harness.mjs'
import { canLearn } from './peers/spillway-learn.mjs'

const WINDOW_MS = 1_000
const QUOTA = [
  { atSecond: 0, perSecond: 100 },
  { atSecond: 12, perSecond: 50 },
  { atSecond: 24, perSecond: 100 },
]
const SECONDS = 36
/** Requests a second at the upper edge of a panel. */
const AXIS_MAX = 200
const READ_EVERY_MS = 50
/** More than can be delivered, so that nobody is through before the end. */
const BACKLOG = { messages: 4_000, conversations: 50 }
const SERVER = { retryAfter: 'zero', headers: 'x', latencyMs: { min: 20, max: 30 }, everyMs: READ_EVERY_MS }
const CLIENTS = [
  { peer: 'spillway-learn', name: "Spillway, 'learn'", told: 100, words: 'starts at 100/s' },
  { peer: 'spillway', name: 'Spillway', told: 100, words: 'told 100/s' },
  { peer: 'effect', name: 'effect withRateLimiter', told: 100, words: 'told 100/s, reads the headers' },
  { peer: 'p-queue', name: 'p-queue, strict', told: 100, words: 'told 100/s, with retries' },
  { peer: 'hand-rolled', name: 'axios, backoff, jitter', told: 100, words: 'what most services have' },
]
const RESULTS = new URL('results/curve.json', import.meta.url)
const PICTURE = new URL('../docs/images/limits.svg', import.meta.url)

const quotaOf = (requests) => ({ requests, perMs: WINDOW_MS })

async function measureClient({ peer, name, told, words }) {
  const [first, ...later] = QUOTA
  const { failed, ledger, readings } = await contest({
    peer,
    ...BACKLOG,
    told: quotaOf(told),
    config: { ...SERVER, quota: quotaOf(first.perSecond) },
    turns: later.map(({ atSecond, perSecond }) => ({ afterMs: atSecond * 1_000, config: { quota: quotaOf(perSecond) } })),
    untilMs: SECONDS * 1_000,
  })
  const { uniqueIds: delivered, refused, orderViolations: outOfOrder, mostInWindow } = ledger
  const figures = { delivered, refused, lost: failed, outOfOrder, mostInWindow }
  process.stderr.write(`${name}: ${JSON.stringify(figures)}\n`)
  return { name, told: words, ...figures, points: rolling(readings) }
}

/** At every fourth reading, what came in the window before it. */
function rolling(readings) {
  return readings
    .filter(({ atMs }, n) => atMs <= SECONDS * 1_000 && n % 4 === 3)
    .map(({ atMs, accepted, refused }) => {
      const before = readingAt(readings, atMs - WINDOW_MS)
      return {
        second: Math.round(atMs / 10) / 100,
        accepted: Math.round(accepted - before.accepted),
        refused: Math.round(refused - before.refused),
      }
    })
}

/** Between two readings, in proportion: on a busy machine they come late, and a longer window would seem fuller. */
function readingAt(readings, atMs) {
  const next = readings.findIndex((reading) => reading.atMs > atMs)
  const [from, to] = [readings[next - 1] ?? { atMs: 0, accepted: 0, refused: 0 }, readings[next]]
  const share = Math.max(0, atMs - from.atMs) / (to.atMs - from.atMs)
  return { accepted: from.accepted + share * (to.accepted - from.accepted), refused: from.refused + share * (to.refused - from.refused) }
}

async function measureAll() {
  // One Spillway is enough: the one that learns, where this build can.
  const without = (await canLearn()) ? 'spillway' : 'spillway-learn'
  const rows = []
  for (const client of CLIENTS.filter(({ peer }) => peer !== without)) rows.push(await measureClient(client))
  return rows
}

const count = (value) => value.toLocaleString('en-US')

function figuresOf({ delivered, refused, lost, outOfOrder, mostInWindow }) {
  const figures = [
    { text: `${count(delivered)} delivered` },
    { text: `${count(refused)} refused`, bad: refused > delivered / 100 },
    { text: `${count(lost)} lost`, bad: lost > 0 },
    { text: `${count(outOfOrder)} out of order`, bad: outOfOrder > 0 },
  ]
  // What lies above the panel isn't drawn, but said.
  return mostInWindow > AXIS_MAX ? [...figures, { text: `up to ${count(mostInWindow)}/s`, bad: true }] : figures
}

function draw(clients) {
  mkdirSync(new URL('.', PICTURE), { recursive: true })
  writeFileSync(
    PICTURE,
    svg({
      title: 'A backlog, and a quota that halves and comes back',
      legend: [
        { kind: 'quota', words: 'what the server allows' },
        { kind: 'accepted', words: 'accepted in the last second' },
        { kind: 'refused', words: 'refused (429) in the last second' },
      ],
      seconds: SECONDS,
      perSecondMax: AXIS_MAX,
      ticks: { rates: [0, 100, AXIS_MAX], seconds: [0, 6, 12, 18, 24, 30, 36] },
      quota: QUOTA,
      clients: clients.map((client) => ({ ...client, figures: figuresOf(client) })),
    }),
  )
}

function report(clients) {
  const possible = QUOTA.reduce((sum, { atSecond, perSecond }, n) => sum + perSecond * ((QUOTA[n + 1]?.atSecond ?? SECONDS) - atSecond), 0)
  publish('curve', {
    title: 'A quota that halves and comes back',
    sections: [
      {
        heading: `${QUOTA.map(({ atSecond, perSecond }) => `${perSecond} requests a second from ${atSecond} s`).join(', ')}; until ${SECONDS} s`,
        body: `${table(clients, [
          ['client', 'name'],
          ['told', 'told'],
          ['delivered', 'delivered'],
          ['429s', 'refused'],
          ['lost', 'lost'],
          ['out of order', 'outOfOrder'],
          ['most in any second', 'mostInWindow'],
        ])}\n\n${count(possible)} could be delivered. \`X-RateLimit-*\` headers, \`Retry-After: 0\`, 20 to 30 ms. The picture: [limits.svg](../../docs/images/limits.svg).`,
      },
    ],
    figures: { quota: QUOTA, seconds: SECONDS, clients },
  })
}

const { values: options } = parseArgs({ options: { redraw: { type: 'boolean' } } })
const clients = options.redraw ? JSON.parse(readFileSync(RESULTS, 'utf8')).clients : await measureAll()
if (!options.redraw) report(clients)
draw(clients)
