// BullMQ with its limiter, and the retries of its guide: three attempts, exponential backoff from a second on.
// The benchmark starts the Redis, and names its port.
import { Queue, QueueEvents, Worker } from 'bullmq'

import { poster } from './post.mjs'

const CONCURRENCY = 50
const KEPT = { attempts: 3, backoff: { type: 'exponential', delay: 1_000 } }

export async function open({ url, told }) {
  const connection = { host: '127.0.0.1', port: Number(process.env.SPILLWAY_BENCH_REDIS), maxRetriesPerRequest: null }
  const post = poster(url)
  const work = async ({ data }) => {
    const status = await post(data)
    if (status >= 300) throw new Error(`status ${status}`)
  }
  const queue = new Queue('bench', { connection })
  const events = new QueueEvents('bench', { connection })
  const worker = new Worker('bench', work, { connection, concurrency: CONCURRENCY, limiter: { max: told.requests, duration: told.perMs } })
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady(), worker.waitUntilReady()])
  return {
    async send(message) {
      const job = await queue.add('message', message, KEPT)
      await job.waitUntilFinished(events)
    },
  }
}
