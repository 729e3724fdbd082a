// Resident memory of each queued message beyond its payload, the 200 bytes of its body; and that of other queues.
import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'

import { startRedis } from '../__test__/redis.js'
import { message } from './clients.mjs'
import { startWorker } from './harness.mjs'
import { enqueueAll, holdSender } from './held.mjs'

const PAYLOAD_BYTES = 200
const NOWHERE = 'http://127.0.0.1:9'
const never = () => new Promise(() => {})

/** Fill a queue with `count` messages that wait. */
const QUEUES = {
  async spillway(count) {
    const { sender } = await holdSender(NOWHERE)
    return () => enqueueAll(sender, count, message)
  },
  async 'p-queue'(count) {
    const { default: PQueue } = await import('p-queue')
    const queue = new PQueue({ concurrency: 1 })
    return () => hold(count, (message) => queue.add(() => never(message)))
  },
  async bottleneck(count) {
    const { default: Bottleneck } = await import('bottleneck')
    const limiter = new Bottleneck({ maxConcurrent: 1 })
    return () => hold(count, (message) => limiter.schedule(() => never(message)))
  },
  async bullmq(count, { redis }) {
    const { Queue } = await import('bullmq')
    const queue = new Queue('bench', { connection: { port: redis, host: '127.0.0.1' } })
    await queue.waitUntilReady()
    return async () => {
      for (let first = 0; first < count; first += 1_000) {
        await queue.addBulk(Array.from({ length: 1_000 }, (_, index) => ({ name: 'message', data: message(first + index) })))
      }
    }
  },
}

const held = []
function hold(count, add) {
  // Bodies as texts, as they lie in Spillway's queue.
  for (let index = 0; index < count; index++) held.push(add(JSON.stringify(message(index).body)))
}

export async function start({ queue, count, redis }) {
  const fill = await QUEUES[queue](count, { redis })
  return {
    async round() {
      global.gc()
      const before = process.memoryUsage.rss()
      await fill()
      await sleep(100)
      global.gc()
      return { bytes: (process.memoryUsage.rss() - before) / count }
    },
  }
}

async function measureQueue(queue, count, redis) {
  const worker = await startWorker(import.meta.url, { queue, count, redis }, { execArgv: ['--expose-gc'] })
  const { bytes } = await worker.round()
  await worker.stop()
  return bytes
}

/** BullMQ keeps its jobs in Redis, so it is Redis's memory that counts. */
async function measureBullMq(count) {
  if (spawnSync('redis-server', ['--version']).error !== undefined) return undefined
  const { port, stop } = await startRedis()
  try {
    const { default: Redis } = await import('ioredis')
    const client = new Redis(port, '127.0.0.1')
    const rss = async () => Number(/used_memory_rss:(\d+)/.exec(await client.info('memory'))[1])
    const before = await rss()
    await measureQueue('bullmq', count, port)
    const bytes = ((await rss()) - before) / count
    await client.quit()
    return bytes
  } finally {
    await stop()
  }
}

export async function run() {
  const own = []
  for (let round = 0; round < 5; round++) own.push(await measureQueue('spillway', 1_000_000))
  const others = {
    'p-queue': await measureQueue('p-queue', 1_000_000),
    bottleneck: await measureQueue('bottleneck', 100_000),
    bullmq: await measureBullMq(100_000),
  }
  const beyond = own.map((bytes) => bytes - PAYLOAD_BYTES).sort((a, b) => a - b)
  const note = Object.entries(others).map(
    ([name, bytes]) => `${name} ${bytes === undefined ? 'not measured (no Redis)' : Math.round(bytes - PAYLOAD_BYTES)}`,
  )
  return {
    figures: { spillway: own, ...others },
    rows: [
      {
        what: 'memory per queued message at 1,000,000, beyond the payload',
        bar: { atMost: 200 },
        unit: 'bytes',
        median: beyond[2],
        min: beyond[0],
        max: beyond[4],
        note: `${note.join(', ')} (the last two at 100,000)`,
      },
    ],
  }
}
