// How long the event loop is held while 20,000 messages a second flow; and while undici and axios do all that they can.
import { monitorEventLoopDelay } from 'node:perf_hooks'

import { message, open } from './clients.mjs'
import { inTurns, startWorker, summary } from './harness.mjs'
import { plain } from './servers.mjs'

const ROUNDS = 5
const SPAN_MS = 2_000
const PER_MS = 20
const RESOLUTION_MS = 1

export async function start({ client, target, perMs }) {
  const { send, close } = await open(client, target)
  const drive = perMs === undefined ? atFullSpeed : atRate
  return {
    async round() {
      const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
      histogram.enable()
      const startedAt = performance.now()
      const count = await drive(send, perMs)
      const perSecond = count / ((performance.now() - startedAt) / 1_000)
      histogram.disable()
      // The histogram holds the whole time between two samples, so the interval itself is taken off.
      const delay = (share) => histogram.percentile(share) / 1e6 - RESOLUTION_MS
      return { p50: delay(50), p99: delay(99), max: delay(100), perSecond }
    },
    stop: close,
  }
}

/** So many every millisecond; what a late timer has missed is sent when it comes. */
function atRate(send, perMs) {
  const startedAt = performance.now()
  const sent = []
  return new Promise((resolve, reject) => {
    const timer = setInterval(() => {
      const elapsedMs = performance.now() - startedAt
      while (sent.length < elapsedMs * perMs) sent.push(send(message(sent.length)))
      if (elapsedMs < SPAN_MS) return
      clearInterval(timer)
      Promise.all(sent).then(() => resolve(sent.length), reject)
    }, 1)
  })
}

async function atFullSpeed(send) {
  const until = performance.now() + SPAN_MS
  let count = 0
  const caller = async () => {
    while (performance.now() < until) await send(message(count++))
  }
  await Promise.all(Array.from({ length: 256 }, caller))
  return count
}

export async function run() {
  const target = await plain()
  const worker = (client, perMs) => startWorker(import.meta.url, { client, target, perMs })
  const workers = { spillway: await worker('spillway', PER_MS), undici: await worker('undici'), axios: await worker('axios') }
  await inTurns(1, workers)
  const figures = await inTurns(ROUNDS, workers)
  for (const each of Object.values(workers)) await each.stop()
  await target.stop()
  const of = (client) => {
    const median = (figure) => summary(figures[client], figure).median
    return `${client} ${median((round) => round.p99).toFixed(1)} ms at ${Math.round(median((round) => round.perSecond)).toLocaleString('en-US')}/s`
  }
  return {
    figures,
    rows: [
      {
        what: 'event-loop delay p99 while 20,000 messages/s flow',
        bar: { atMost: 2 },
        unit: 'ms',
        ...summary(figures.spillway, (round) => round.p99),
        note: ['spillway', 'undici', 'axios'].map(of).join(', '),
      },
    ],
  }
}
