// `enqueue` alone, memory store: accepted messages per second while nothing is sent.
import { message } from './clients.mjs'
import { inTurns, measure, startWorker, summary, threadsCpuUs } from './harness.mjs'
import { enqueueAll, holdSender } from './held.mjs'

const ROUNDS = 5
const MESSAGES = 200_000
const NOWHERE = 'http://127.0.0.1:9'

export async function start() {
  return {
    async round({ perTick }) {
      const { sender } = await holdSender(NOWHERE)
      const threads = threadsCpuUs()
      const { elapsedMs } = await measure(() => enqueueAll(sender, MESSAGES, message, perTick))
      const after = threadsCpuUs()
      await sender.close({ timeoutMs: 0 })
      const cpu = (thread) => (threads === undefined ? NaN : (after[thread] - (threads[thread] ?? 0)) / MESSAGES)
      return { perSecond: MESSAGES / (elapsedMs / 1_000), mainUs: cpu('main'), engineUs: cpu('spillway') }
    },
  }
}

export async function run() {
  const worker = await startWorker(import.meta.url)
  const round = { perTick: 1_000 }
  await worker.round(round)
  const { worker: rounds } = await inTurns(ROUNDS, { worker }, () => round)
  await worker.stop()
  const main = summary(rounds, (round) => round.mainUs).median
  const engine = summary(rounds, (round) => round.engineUs).median
  return {
    figures: rounds,
    rows: [
      {
        what: 'enqueue alone, 1,000 a tick',
        bar: { atLeast: 500_000 },
        unit: '/s',
        ...summary(rounds, (round) => round.perSecond),
        note: `CPU a message: main thread ${main.toFixed(2)} µs, engine thread ${engine.toFixed(2)}`,
      },
    ],
  }
}
