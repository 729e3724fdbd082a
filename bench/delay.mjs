// The delay of a message at 1,000 a second with free budget, over that of undici at the same pace.
import { message, open } from './clients.mjs'
import { inTurns, quantile, startWorker, summary } from './harness.mjs'
import { plain } from './servers.mjs'

const ROUNDS = 5
const MESSAGES = 2_000

export async function start({ client, target }) {
  const { send, close } = await open(client, target)
  const timed = async (index) => {
    const startedAt = performance.now()
    await send(message(index))
    return (performance.now() - startedAt) * 1_000
  }
  return {
    async round() {
      const delays = []
      await new Promise((resolve) => {
        const timer = setInterval(() => {
          delays.push(timed(delays.length))
          if (delays.length < MESSAGES) return
          clearInterval(timer)
          resolve()
        }, 1)
      })
      const values = await Promise.all(delays)
      return { p50: quantile(values, 0.5), p99: quantile(values, 0.99) }
    },
    stop: close,
  }
}

export async function run() {
  const target = await plain()
  const workers = {}
  for (const client of ['spillway', 'undici']) workers[client] = await startWorker(import.meta.url, { client, target })
  await inTurns(1, workers)
  const figures = await inTurns(ROUNDS, workers)
  for (const worker of Object.values(workers)) await worker.stop()
  await target.stop()
  const row = (quantile, bar) => {
    const of = (client) => Math.round(summary(figures[client], (round) => round[quantile]).median)
    return {
      what: `added delay ${quantile} at 1,000/s, over undici's`,
      bar: { atMost: bar },
      unit: 'µs',
      ...summary(
        figures.spillway.map((round, index) => round[quantile] - figures.undici[index][quantile]),
        (added) => added,
      ),
      note: `spillway ${of('spillway')} µs, undici ${of('undici')}`,
    }
  }
  return { figures, rows: [row('p50', 100), row('p99', 1_000)] }
}
