// A Redis of our own that writes every command to its disk before it answers, and BullMQ queues on it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'

import { Queue } from 'bullmq'

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return port
}

/** `{ queue(name), stop() }`. Needs a redis-server on the PATH. */
export async function startRedis() {
  const folder = mkdtempSync(join(process.cwd(), '.bench-redis-'))
  const port = await freePort()
  const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', '']
  const server = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, ...durable], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let log = ''
  while (!log.includes('Ready to accept connections')) log += (await once(server.stdout, 'data'))[0]
  server.stdout.resume()
  return {
    queue: (name) => new Queue(name, { connection: { host: '127.0.0.1', port, maxRetriesPerRequest: null } }),
    async stop() {
      const ended = once(server, 'exit')
      server.kill()
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
