// A burst against the edge of the window: what reaches the server in any rolling second, of those that were told 30 a second.
//
//   npm run bench:edge       about two minutes
import { contest } from './contest.mjs'
import { median, publish, table } from './harness.mjs'

const TOLD = { requests: 30, perMs: 1_000 }
/** One message at once, 29 at the end of its window, and more than can go just behind it. */
const BURST = [...Array(1).fill(0), ...Array(29).fill(900), ...Array(90).fill(1_005)]
// It counts and refuses nothing; without headers, which would tell effect another number.
const SERVER = { quota: { requests: 1_000_000, perMs: TOLD.perMs }, headers: 'none', latencyMs: { min: 20, max: 30 } }
const ROUNDS = 5
const UNTIL_MS = 15_000
const CLIENTS = [
  { peer: 'spillway', name: 'Spillway' },
  { peer: 'p-throttle', name: 'p-throttle, strict' },
  { peer: 'p-queue', name: 'p-queue, strict' },
  { peer: 'bottleneck', name: 'bottleneck, reservoir' },
  { peer: 'limiter', name: 'limiter' },
  { peer: 'effect', name: 'effect withRateLimiter' },
]

async function round({ peer }) {
  const { ended, elapsedMs, ledger } = await contest({
    peer,
    told: TOLD,
    messages: BURST.length,
    conversations: BURST.length,
    atMs: BURST,
    config: SERVER,
    untilMs: UNTIL_MS,
  })
  if (!ended || ledger.uniqueIds !== BURST.length) throw new Error(`${peer}: ${ledger.uniqueIds} of ${BURST.length} arrived`)
  return { mostInWindow: ledger.mostInWindow, elapsedMs }
}

async function measureClient(client) {
  const rounds = []
  for (let n = 0; n < ROUNDS; n++) rounds.push(await round(client))
  const most = rounds.map(({ mostInWindow }) => mostInWindow)
  return {
    name: client.name,
    least: Math.min(...most),
    median: median(most),
    most: Math.max(...most),
    elapsedMs: median(rounds.map(({ elapsedMs }) => elapsedMs)),
  }
}

const figures = []
for (const client of CLIENTS) figures.push(await measureClient(client))

publish('edge', {
  title: `The window's edge: ${TOLD.requests} requests a second`,
  sections: [
    {
      heading: 'One message at 0 ms, 29 at 900 ms, 90 at 1,005 ms: the most that arrive in any rolling second',
      body: `${table(figures, [
        ['client', 'name'],
        ['least', 'least'],
        ['median', 'median'],
        ['most', 'most'],
        ['time for all, ms', 'elapsedMs'],
      ])}\n\nOf ${ROUNDS} rounds. The server counts what arrives and refuses nothing; requests take 20 to 30 ms, of which the way there is a random part.`,
    },
  ],
  figures: { told: TOLD, rounds: ROUNDS, clients: figures },
})
