// What three ways of looking for a limit say about one server, and what each costs it: `spillway ramp`, an open model that raises its rate
// until requests fail (k6's recipe for breakpoint tests, by k6 itself where one is on the PATH), and a closed loop of more and more workers.
//
//   npm run bench:ramp       about eight minutes
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { publish, table } from './harness.mjs'

const require = createRequire(import.meta.url)
const { Simulator } = require('../index.js')
const { Client } = require('../lib/ramp/client.js')
const { reportOf } = require('../lib/ramp/report.js')
const { Requests } = require('../lib/ramp/requests.js')
const { Session } = require('../lib/ramp/session.js')

const LIMIT = 80
const WINDOW_MS = 1_000
const LATENCY_MS = { min: 8, max: 16 }
const CREDENTIALS = { clientId: 'bench', clientSecret: 'bench-secret' }
const TEMPLATE = '/api/v2/messaging/conversations/{conversationId}/messages'
const ALGORITHMS = ['fixed-window', 'sliding-log', 'token-bucket']

/** Every five seconds the server takes this much longer, for as long: what does each see of it? */
const STALL = { everyMs: 5_000, forMs: 400, latencyMs: 500 }
/** Slower than this is a request that met a stall. */
const SLOW_MS = 250

/** k6 `ramping-arrival-rate` to the double of the limit, with its usual threshold: abort when 1 % have failed. */
const RECIPE = { toPerSecond: 2 * LIMIT, forMs: 60_000, failedShareMax: 0.01, delayAbortMs: 10_000 }
/** Each step of the closed loop runs for as long. */
const WORKERS = [1, 2, 4, 8, 16, 32]
const STEP_MS = 5_000

async function on(algorithm, { stalls }, measure) {
  const simulator = await Simulator.start({
    credentials: CREDENTIALS,
    quota: { requests: LIMIT, perMs: WINDOW_MS, algorithm },
    latencyMs: LATENCY_MS,
    answerStyle: 'genesys',
  })
  const client = new Client({ apiUrl: simulator.url, loginUrl: simulator.url, credentials: CREDENTIALS })
  await client.authorize()
  const stalling = stalls ? stall(simulator) : null
  try {
    const said = await measure(client, new Requests({ template: TEMPLATE, messages: Requests.sample() }), simulator)
    const { refused, arrivals } = simulator.ledger()
    return { ...said, refused, requests: arrivals }
  } finally {
    await stalling?.()
    client.close()
    await simulator.close()
  }
}

function stall(simulator) {
  const over = new AbortController()
  const { signal } = over
  const running = (async () => {
    for (;;) {
      await sleep(STALL.everyMs - STALL.forMs, undefined, { signal })
      await simulator.set({ latencyMs: STALL.latencyMs })
      await sleep(STALL.forMs, undefined, { signal })
      await simulator.set({ latencyMs: LATENCY_MS })
    }
  })().catch(() => {})
  return () => {
    over.abort()
    return running
  }
}

async function ramp(client, requests) {
  const begin = performance.now()
  const { signal } = new AbortController()
  const session = new Session(client, requests, { countMax: 1_000, repeat: 3, plateauMs: 0, requestsMax: 1e6, minutesMax: 10, signal })
  const found = await session.run(WINDOW_MS)
  const elapsedMs = performance.now() - begin
  const { interval, algorithm } = reportOf({
    found,
    refusals: session.refusals,
    limits: null,
    target: 'bench',
    hasOther: requests.hasOther,
    settings: {},
    startedAt: '',
    elapsedMs,
    sent: session.sent,
  })
  const limit = interval === null ? `none: ${found.ended}` : `${interval.low}–${interval.high} per second, ${algorithm.name}`
  return { limit, elapsedMs, delays: delaysOf(found.trials.flatMap(({ observations }) => observations)) }
}

/** Requests at their times, whatever the answers; ends at the first second in which the threshold is exceeded. */
async function recipe(client, requests) {
  const begin = performance.now()
  const { toPerSecond, forMs, failedShareMax, delayAbortMs } = RECIPE
  const seen = []
  const pending = new Set()
  let rate = 0
  for (let n = 0; ; n++) {
    // The n-th arrival of a rate that rises linearly from 0.
    const atMs = Math.sqrt((2 * n * forMs * 1_000) / toPerSecond)
    const failed = seen.filter(({ status }) => status !== 200).length
    if (atMs > forMs || (atMs > delayAbortMs && failed > failedShareMax * seen.length)) break
    rate = (toPerSecond * atMs) / forMs
    const waitMs = begin + atMs - performance.now()
    if (waitMs > 0) await sleep(waitMs)
    const one = { intendedAt: begin + atMs, sentAt: performance.now() }
    const sending = client.send(requests.next()).then(({ status }) => {
      seen.push(Object.assign(one, { status, answeredAt: performance.now() }))
      pending.delete(sending)
    })
    pending.add(sending)
  }
  await Promise.all(pending)
  return { limit: `${Math.round(rate)} per second`, elapsedMs: performance.now() - begin, delays: delaysOf(seen) }
}

/** The same by k6, of which `--version` says something. */
async function byK6(client, _requests, { url }) {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-k6-'))
  const out = join(folder, 'summary.json')
  const settings = {
    OUT: out,
    TARGET: url,
    TOKEN: client.secrets[0],
    TO_PER_SECOND: RECIPE.toPerSecond,
    FOR_MS: RECIPE.forMs,
    FAILED_SHARE_MAX: RECIPE.failedShareMax,
    DELAY_ABORT_MS: RECIPE.delayAbortMs,
  }
  const args = ['run', '--quiet', '--no-usage-report', fileURLToPath(new URL('ramp-k6.mjs', import.meta.url))]
  try {
    // It ends with 99 when the threshold is exceeded, as it should be.
    await run('k6', args, { env: { ...process.env, ...settings } }).catch((error) => error.code === 99 || Promise.reject(error))
    const { elapsedMs, delays } = JSON.parse(readFileSync(out, 'utf8'))
    return { limit: `${Math.round((RECIPE.toPerSecond * elapsedMs) / RECIPE.forMs)} per second`, elapsedMs, delays }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** So many workers, each of which waits for its answer before it sends again. */
async function closed(client, requests) {
  const begin = performance.now()
  const seen = []
  let best = 0
  for (const workers of WORKERS) {
    const endsAt = performance.now() + STEP_MS
    let accepted = 0
    await Promise.all(
      Array.from({ length: workers }, async () => {
        while (performance.now() < endsAt) {
          const sentAt = performance.now()
          const { status } = await client.send(requests.next())
          if (status === 200) accepted++
          seen.push({ intendedAt: sentAt, sentAt, status, answeredAt: performance.now() })
        }
      }),
    )
    best = Math.max(best, (accepted * 1_000) / STEP_MS)
  }
  return { limit: `${Math.round(best)} per second`, elapsedMs: performance.now() - begin, delays: delaysOf(seen) }
}

/** The share of slow ones, and quantiles, as this way of measuring shows them. */
function delaysOf(observations) {
  const delays = observations
    .filter(({ answeredAt }) => answeredAt !== null && answeredAt !== undefined)
    .map(({ answeredAt, intendedAt }) => answeredAt - intendedAt)
    .sort((a, b) => a - b)
  const at = (share) => delays[Math.min(delays.length - 1, Math.floor(share * delays.length))]
  return { p50: at(0.5), p99: at(0.99), slow: delays.filter((ms) => ms > SLOW_MS).length / delays.length }
}

const run = promisify(execFile)
const k6 = await run('k6', ['version']).then(
  ({ stdout }) => stdout.split(' ', 2).join(' '),
  () => null,
)
const WAYS = [
  { name: 'spillway ramp', measure: ramp },
  ...(k6 === null ? [] : [{ name: k6, measure: byK6 }]),
  { name: "k6's recipe, by Node", measure: recipe },
  { name: 'closed loop', measure: closed },
]

const results = []
for (const algorithm of ALGORITHMS) {
  for (const { name, measure } of WAYS) {
    const said = await on(algorithm, { stalls: false }, measure)
    results.push({ algorithm, name, ...said })
    console.error(`${algorithm}, ${name}: ${said.limit}, ${said.refused} × 429`)
  }
}
const stalled = []
for (const { name, measure } of WAYS.slice(1)) {
  const said = await on('sliding-log', { stalls: true }, measure)
  stalled.push({ name, ...said })
}

const shown = (rows) =>
  table(
    rows.map(({ name, limit, refused, requests, elapsedMs, delays }) => ({
      name,
      limit,
      refused,
      requests,
      seconds: elapsedMs / 1_000,
      p50: delays.p50,
      p99: delays.p99,
      slow: `${(100 * delays.slow).toFixed(1)} %`,
    })),
    [
      ['way', 'name'],
      ['the limit, it says', 'limit'],
      ['429s', 'refused'],
      ['requests', 'requests'],
      ['time, s', 'seconds'],
      ['p50, ms', 'p50'],
      ['p99, ms', 'p99'],
      [`over ${SLOW_MS} ms`, 'slow'],
    ],
  )

publish('ramp', {
  title: `Looking for a limit of ${LIMIT} requests a second`,
  sections: [
    ...ALGORITHMS.map((algorithm) => ({
      heading: `A ${algorithm}`,
      body: shown(results.filter((result) => result.algorithm === algorithm)),
    })),
    {
      heading: `Latency where the server stalls for ${STALL.forMs} of every ${STALL.everyMs} ms`,
      body:
        `${shown(stalled)}\n\nOf the time, ${(100 * STALL.forMs) / STALL.everyMs} % is a stall: requests that start then take ${STALL.latencyMs} ms. ` +
        'The workers of a closed loop wait then and send nothing, so most of what would have met the stall is never asked (coordinated omission). ' +
        'An open schedule sends at its times, and counts from them.',
    },
    {
      heading: 'What is compared',
      body:
        `\`spillway ramp\` with 3 repetitions, without a hint of the limit. k6's recipe for breakpoint tests, by k6 (if there is one on the PATH) and made again with the HTTP client of the others: ` +
        `arrivals that rise to ${RECIPE.toPerSecond} a second within ${RECIPE.forMs / 1_000} s, ended when more than ${100 * RECIPE.failedShareMax} % have failed, ` +
        `but not in the first ${RECIPE.delayAbortMs / 1_000} s. The closed loop: ${WORKERS.join(', ')} workers for ${STEP_MS / 1_000} s each, of which the best ` +
        'rate of accepted requests counts. The server answers in 8 to 16 ms; 429s are those of its ledger.',
    },
  ],
  figures: { limit: LIMIT, results, stalled },
})
