// 8 worker threads that send to one organization, against one thread: the total rate, and how even the shares are.
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'

import { message, openSender } from './clients.mjs'
import { inTurns, startWorker, summary } from './harness.mjs'
import { plain } from './servers.mjs'

const ROUNDS = 9
/**
 * Rounds before those that count. Every thread's V8 compiles for itself, and eight of them share the messages that it takes to
 * find out what is worth it: after one round a message still takes a third more than after four.
 */
const WARM_UP_ROUNDS = 5
const SPAN_MS = 1_500
const CALLERS = 256

async function flow(sender, callers, spanMs) {
  const until = performance.now() + spanMs
  let settled = 0
  const caller = async (offset) => {
    for (let index = offset; performance.now() < until; index += callers) {
      await sender.send(message(index))
      settled++
    }
  }
  await Promise.all(Array.from({ length: callers }, (_, offset) => caller(offset)))
  return settled
}

// In a worker thread: a sender of the organization that its process has named.
if (!isMainThread) {
  const sender = await openSender(workerData.url, { organization: workerData.organization })
  parentPort.on('message', async (round) => {
    if (round === 'stop') {
      await sender.close()
      parentPort.close()
    } else {
      parentPort.postMessage(await flow(sender, round.callers, SPAN_MS))
    }
  })
  parentPort.postMessage('ready')
}

const heard = (thread) => new Promise((resolve) => thread.once('message', resolve))

export async function start({ url, threads }) {
  const organization = `bench-${process.pid}`
  const all = Array.from({ length: threads }, () => new Worker(new URL(import.meta.url), { workerData: { url, organization } }))
  await Promise.all(all.map(heard))
  return {
    async round() {
      const answers = all.map(heard)
      all.forEach((thread) => thread.postMessage({ callers: CALLERS / threads }))
      const settled = await Promise.all(answers)
      const total = settled.reduce((sum, count) => sum + count, 0)
      return { perSecond: total / (SPAN_MS / 1_000), share: Math.min(...settled) / Math.max(...settled) }
    },
    stop: () => all.forEach((thread) => thread.postMessage('stop')),
  }
}

export async function run() {
  const server = await plain()
  const workers = {}
  for (const threads of [8, 1]) workers[`of ${threads}`] = await startWorker(import.meta.url, { url: server.url, threads })
  await inTurns(WARM_UP_ROUNDS, workers)
  const figures = await inTurns(ROUNDS, workers)
  for (const worker of Object.values(workers)) await worker.stop()
  await server.stop()
  const rate = (name) => Math.round(summary(figures[name], (round) => round.perSecond).median).toLocaleString('en-US')
  return {
    figures,
    rows: [
      {
        what: '8 worker threads of one organization ÷ one thread',
        bar: { atLeast: 0.9 },
        unit: '×',
        ...summary(
          figures['of 8'].map((round, index) => round.perSecond / figures['of 1'][index].perSecond),
          (ratio) => ratio,
        ),
        note: `${rate('of 8')} messages/s, one thread ${rate('of 1')}`,
      },
      {
        what: '8 worker threads: smallest share ÷ largest',
        bar: { atLeast: 0.8 },
        unit: '×',
        ...summary(figures['of 8'], (round) => round.share),
      },
    ],
  }
}
