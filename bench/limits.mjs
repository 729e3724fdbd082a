// A backlog against a quota, over real HTTP: Spillway and what else there is, each told the right number, one that is ten
// times too high, and one that is five times too low.
//
//   npm run bench:limits                                     about twelve minutes
//   npm run bench:limits -- --algorithm sliding-log          or token-bucket; results get a name of their own
//   npm run bench:limits -- --only spillway-learn,effect     some of the clients; prints, and keeps nothing
import { parseArgs } from 'node:util'

import ideal from '../lib/cli/ideal.js'
import { contest } from './contest.mjs'
import { publish, table } from './harness.mjs'
import { canLearn } from './peers/spillway-learn.mjs'

const QUOTA = { requests: 100, perMs: 1_000 }
const BACKLOG = { messages: 2_000, conversations: 50 }
const SERVER = { retryAfter: 'zero', latencyMs: { min: 20, max: 30 } }
const STOPPED_AFTER_IDEALS = 2

const idealMs = ideal.idealTime(Array(BACKLOG.messages).fill(0), QUOTA.requests, QUOTA.perMs)
const telling = (requests, text) => ({ told: { requests, perMs: QUOTA.perMs }, text })
const RIGHT = telling(QUOTA.requests, 'the right number')
const TOLD = [RIGHT, telling(QUOTA.requests * 10, '10 × too high'), telling(QUOTA.requests / 5, '5 × too low')]
const NOTHING = [{ ...RIGHT, text: 'takes no number' }]

/** `adapts`: it reads the server's headers, so it is also measured without any. */
const CLIENTS = [
  { peer: 'spillway', name: 'Spillway', told: [RIGHT] },
  { peer: 'spillway-learn', name: "Spillway, 'learn'", told: TOLD, adapts: true },
  { peer: 'p-throttle', name: 'p-throttle, strict', told: TOLD },
  { peer: 'p-queue', name: 'p-queue, strict', told: TOLD },
  { peer: 'bottleneck', name: 'bottleneck, reservoir', told: TOLD },
  { peer: 'limiter', name: 'limiter', told: TOLD },
  { peer: 'effect', name: 'effect withRateLimiter', told: TOLD, adapts: true },
  { peer: 'aws-adaptive', name: 'AWS adaptive retry', told: NOTHING },
  { peer: 'hand-rolled', name: 'axios, backoff, jitter', told: NOTHING },
]

const { values: options } = parseArgs({
  options: { algorithm: { type: 'string', default: 'fixed-window' }, only: { type: 'string' } },
})
const server = { ...SERVER, quota: { ...QUOTA, algorithm: options.algorithm } }
const learns = await canLearn()

async function measureCase({ peer, name }, { told, text }, headers) {
  const row = { name, told: text, headers }
  if (peer === 'spillway-learn' && !learns) return { ...row, available: false }
  const untilMs = idealMs * STOPPED_AFTER_IDEALS
  const result = await contest({ peer, told, ...BACKLOG, config: { ...server, headers }, untilMs })
  const figures = figuresOf(result)
  process.stderr.write(`${name}, ${text}, headers ${headers}: ${JSON.stringify(figures)}\n`)
  return { ...row, available: true, ...figures }
}

function figuresOf({ ended, failed, elapsedMs, cpuUs, ledger }) {
  return {
    ended,
    timeToIdeal: elapsedMs / idealMs,
    rateToIdeal: ledger.uniqueIds / elapsedMs / (BACKLOG.messages / idealMs),
    refused: ledger.refused,
    lost: failed,
    waiting: BACKLOG.messages - ledger.uniqueIds - failed,
    outOfOrder: ledger.orderViolations,
    mostInWindow: ledger.mostInWindow,
    cpuMsPerThousand: cpuUs / ledger.uniqueIds,
  }
}

async function measureAll(headers, clients) {
  const rows = []
  for (const client of clients) {
    for (const told of client.told) rows.push(await measureCase(client, told, headers))
  }
  return rows
}

const COLUMNS = [
  ['client', 'name'],
  ['told', 'told'],
  ['time ÷ ideal', 'time'],
  ['rate ÷ ideal rate', 'rate'],
  ['429s', 'refused'],
  ['lost', 'lost'],
  ['out of order', 'outOfOrder'],
  ['most in any second', 'mostInWindow'],
  ['CPU, ms for 1,000', 'cpuMsPerThousand'],
]

function shown(row) {
  if (!row.available) return { ...Object.fromEntries(COLUMNS.map(([, key]) => [key, ''])), ...row, time: 'not available' }
  const time = row.ended ? row.timeToIdeal.toFixed(3) : `stopped at ${STOPPED_AFTER_IDEALS}`
  return { ...row, time, rate: row.rateToIdeal.toFixed(3) }
}

const wanted = options.only?.split(',')
const clients = CLIENTS.filter(({ peer }) => !wanted || wanted.includes(peer))
const withHeaders = await measureAll('x', clients)
const without = await measureAll(
  'none',
  clients.filter(({ adapts }) => adapts),
)

const report = {
  title: `Limits: ${BACKLOG.messages.toLocaleString('en-US')} messages against ${QUOTA.requests} requests a second`,
  sections: [
    {
      heading: 'The setting',
      body: [
        `${BACKLOG.messages.toLocaleString('en-US')} messages of ${BACKLOG.conversations} conversations wait at the start. The server allows ${QUOTA.requests} requests a second`,
        `(${options.algorithm}), answers after ${SERVER.latencyMs.min} to ${SERVER.latencyMs.max} ms, and a 429 says \`Retry-After: 0\`. *Ideal*: ${idealMs / 1_000} s, the shortest time for`,
        `anybody who never has more than the quota in any rolling second. Who isn't through after ${STOPPED_AFTER_IDEALS} × that is stopped. *Rate*: messages`,
        'delivered in a second. p-throttle, p-queue, bottleneck and limiter have the hand-rolled retry around them (8 tries, backoff with',
        'full jitter, each through the limiter): alone they lose whatever is refused. *Most in any second*: arrivals at the server, refused',
        'ones included. *CPU*: of the client process from the first message on, for 1,000 delivered; the machine did other work too. One run each.',
      ].join('\n'),
    },
    { heading: 'With `X-RateLimit-*` headers', body: table(withHeaders.map(shown), COLUMNS) },
    ...(without.length ? [{ heading: 'Without headers (only those that read any)', body: table(without.map(shown), COLUMNS) }] : []),
  ],
  figures: { algorithm: options.algorithm, idealMs, withHeaders, withoutHeaders: without },
}
if (wanted) console.log(report.sections.map(({ heading, body }) => `## ${heading}\n\n${body}`).join('\n\n'))
else publish(options.algorithm === 'fixed-window' ? 'limits' : `limits-${options.algorithm}`, report)
