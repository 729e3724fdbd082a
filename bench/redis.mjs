// A Redis that writes every command to its disk before it answers, and BullMQ queues on it.
import { Queue } from 'bullmq'

import { startRedis } from '../__test__/redis.js'

/** `{ queue(name), stop() }`, with its files beside the working directory: the system's temporary one may be in memory. */
export async function startDurableRedis() {
  const { port, stop } = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'], under: process.cwd() })
  return {
    queue: (name) => new Queue(name, { connection: { host: '127.0.0.1', port, maxRetriesPerRequest: null } }),
    stop,
  }
}
