// `enqueue` alone, memory store: accepted messages per second while nothing is sent.
import { message } from './clients.mjs'
import { inTurns, measure, startWorker, summary } from './harness.mjs'
import { enqueueAll, holdSender } from './held.mjs'

const ROUNDS = 5
const MESSAGES = 200_000
const NOWHERE = 'http://127.0.0.1:9'

export async function start() {
  return {
    async round({ perTick }) {
      const { sender } = await holdSender(NOWHERE)
      const { elapsedMs, cpuUs } = await measure(() => enqueueAll(sender, MESSAGES, message, perTick))
      await sender.close({ timeoutMs: 0 })
      return { perSecond: MESSAGES / (elapsedMs / 1_000), cpuUs: cpuUs / MESSAGES }
    },
  }
}

export async function run() {
  const worker = await startWorker(import.meta.url)
  const round = { perTick: 1_000 }
  await worker.round(round)
  const { worker: rounds } = await inTurns(ROUNDS, { worker }, () => round)
  await worker.stop()
  const cpu = summary(rounds, (round) => round.cpuUs).median
  return {
    figures: rounds,
    rows: [{
      what: 'enqueue alone, 1,000 a tick',
      bar: { atLeast: 500_000 },
      unit: '/s',
      ...summary(rounds, (round) => round.perSecond),
      note: `${cpu.toFixed(2)} µs CPU of the process a message`,
    }],
  }
}
