// 1,000 lanes that wait for the end of a pause: how often the engine's thread wakes, and what that costs.
import { readFileSync, readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import { openSender } from './clients.mjs'
import { startServer, startWorker, summary, threadsCpuUs } from './harness.mjs'

const LANES = 1_000
const ROUNDS = 5
const SPAN_MS = 1_500

export async function start({ url }) {
  const sender = await openSender(url)
  for (let lane = 0; lane < LANES; lane++) await sender.enqueue({ conversationId: `lane ${lane}`, body: { text: 'hi' } })
  while (sender.stats().pause === null || sender.stats().queue.inFlight > 0) await sleep(10)
  await sleep(1_500)
  return {
    async round() {
      const [wakes, cpu] = [engineWakes(), threadsCpuUs()]
      await sleep(SPAN_MS)
      return { wakes: engineWakes() - wakes, cpuUs: (threadsCpuUs()?.spillway ?? NaN) - (cpu?.spillway ?? NaN) }
    },
    stop: () => sender.close({ timeoutMs: 0 }),
  }
}

/** How often the thread gave up the CPU because it had nothing to do. */
function engineWakes() {
  for (const thread of readdirSync('/proc/self/task')) {
    const status = readFileSync(`/proc/self/task/${thread}/status`, 'utf8')
    if (/^Name:\s+spillway$/m.test(status)) return Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)[1])
  }
  return NaN
}

export async function run() {
  const server = await startServer({ quota: { requests: 1, perMs: 600_000 }, retryAfter: 'right' })
  const worker = await startWorker(import.meta.url, { url: server.url })
  const figures = []
  for (let round = 0; round < ROUNDS; round++) figures.push(await worker.round())
  await worker.stop()
  await server.stop()
  return {
    figures,
    rows: [
      {
        what: `idle, ${LANES.toLocaleString('en-US')} lanes in a pause: wakes of the engine in ${SPAN_MS / 1_000} s`,
        bar: { atMost: 0 },
        unit: '',
        ...summary(figures, (round) => round.wakes),
      },
      {
        what: 'idle: CPU of the engine thread',
        bar: { atMost: 0 },
        unit: '%',
        ...summary(figures, (round) => round.cpuUs / (SPAN_MS * 10)),
      },
    ],
  }
}
