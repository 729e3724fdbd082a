// What a message costs, enqueued and delivered, while 1,000,000 are queued over 100,000 conversations, in multiples of what
// it costs while 10,000 are queued over 100.
import { inTurns, startWorker, summary, threadsCpuUs } from './harness.mjs'
import { enqueueAll, holdSender } from './held.mjs'
import { message } from './clients.mjs'
import { plain } from './servers.mjs'

const ROUNDS = 5
const SIZES = { large: { messages: 1_000_000, conversations: 100_000 }, small: { messages: 10_000, conversations: 100 } }
const DELIVERED = 10_000

export async function start({ url, messages, conversations }) {
  const body = message(0).body
  const one = (index) => ({ conversationId: `conversation ${String(index % conversations).padStart(12, '0')}`, body })
  const cpu = () => {
    const threads = threadsCpuUs()
    return threads === undefined ? NaN : threads.main + threads.spillway
  }
  return {
    async round() {
      const { sender, release } = await holdSender(url)
      const before = cpu()
      await enqueueAll(sender, messages, one)
      const enqueued = cpu()
      release()
      await delivered(sender, DELIVERED)
      const after = cpu()
      const { delivered: count } = sender.stats().counters
      await sender.close({ timeoutMs: 0 })
      return { enqueueUs: (enqueued - before) / messages, deliverUs: (after - enqueued) / count }
    },
  }
}

/** Rather than by an event for each, which costs more than the delivery. */
async function delivered(sender, count) {
  while (sender.stats().counters.delivered < count) await new Promise((resolve) => setTimeout(resolve, 20))
}

export async function run() {
  const server = await plain()
  const workers = {}
  for (const [name, size] of Object.entries(SIZES)) workers[name] = await startWorker(import.meta.url, { url: server.url, ...size })
  await workers.small.round()
  const figures = await inTurns(ROUNDS, workers)
  for (const worker of Object.values(workers)) await worker.stop()
  await server.stop()
  const cost = (round) => round.enqueueUs + round.deliverUs
  const of = (name, figure) => summary(figures[name], figure).median.toFixed(1)
  const parts = (name) => `${of(name, (round) => round.enqueueUs)} + ${of(name, (round) => round.deliverUs)} µs`
  return {
    figures,
    rows: [
      {
        what: 'cost per message at 1,000,000 over 100,000 conversations ÷ 10,000 over 100',
        bar: { atMost: 1.3 },
        unit: '×',
        ...summary(
          figures.large.map((round, index) => cost(round) / cost(figures.small[index])),
          (ratio) => ratio,
        ),
        note: `to enqueue + to deliver: ${parts('large')}, ${parts('small')}`,
      },
    ],
  }
}
