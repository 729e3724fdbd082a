// Messages that flow through one client as fast as it can, with so many outstanding at a time: the measure behind several rows.
import { inTurns, measure, startWorker, threadsCpuUs } from './harness.mjs'
import { message, open } from './clients.mjs'

export const ROUNDS = 9
/** Rounds before those that count: connections are opened, V8 compiles, and the kernel finds its sizes of buffers. */
const WARM_UP_ROUNDS = 3
/**
 * Messages of a round; the slow ones send fewer, so that all rounds take about as long, a second: a virtual machine takes some
 * tenths of it to get used to a client that keeps both cores busy, or only one.
 */
const COUNTS = { spillway: 80_000, undici: 40_000, fetch: 3_000, axios: 3_000 }
/** Callers that each wait for their message before they send the next. undici is at its best with four a connection. */
const CALLERS = 256

/** The worker's task. */
export async function start({ client, target }) {
  const { send, close } = await open(client, target)
  let next = 0
  const flow = async (end) => {
    while (next < end) await send(message(next++))
  }
  return {
    async round({ count, callers }) {
      const end = next + count
      const threads = threadsCpuUs()
      const { cpuUs, elapsedMs } = await measure(() => Promise.all(Array.from({ length: callers }, () => flow(end))))
      const threadsAfter = threadsCpuUs()
      const mainUs = threads && (threadsAfter.main - threads.main) / count
      const engineUs = threads && ((threadsAfter.spillway ?? 0) - (threads.spillway ?? 0)) / count
      return { perSecond: count / (elapsedMs / 1_000), cpuUs: cpuUs / count, mainUs, engineUs }
    },
    stop: close,
  }
}

const known = new Map()

/** The figures of all rounds by client. Several rows read the same rounds when they run together. */
export function flows(name, startTarget, clients = Object.keys(COUNTS)) {
  if (!known.has(name)) known.set(name, run(startTarget, clients))
  return known.get(name)
}

async function run(startTarget, clients) {
  const target = await startTarget()
  if (target === undefined) return undefined
  const workers = {}
  const env = target.ca === undefined ? {} : { NODE_EXTRA_CA_CERTS: target.ca }
  for (const client of clients) workers[client] = await startWorker(import.meta.url, { client, target }, { env })
  try {
    const options = (client) => ({ count: COUNTS[client], callers: CALLERS })
    await inTurns(WARM_UP_ROUNDS, workers, options)
    return await inTurns(ROUNDS, workers, options)
  } finally {
    for (const worker of Object.values(workers)) await worker.stop()
    await target.stop()
  }
}

/** `of` in multiples of `to`, round by round. */
export function ratios(figures, of, to, figure) {
  return figures[of].map((round, index) => figure(round) / figure(figures[to][index]))
}
