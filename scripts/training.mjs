// The work at which the addon is counted for a guided build (scripts/build-guided.mjs): what a service does with it at its
// peak, with the recorded dialogue. How often a thing happens decides what is made fast: one request a message is the most.
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { openSender } from '../bench/clients.mjs'
import { peak, startServer } from '../bench/harness.mjs'

const CALLERS = 256
const QUOTA = { requests: 1_000, perMs: 1_000 }
const TOO_MUCH = { requests: 1_500, perMs: 1_000 }

const shape = ({ id, conversationId, seq, type, from, text }) => ({
  id,
  conversationId,
  body: { id, conversationId, seq, type, from, text },
})
const messages = (count) => peak(count).map(shape)

async function work(name, config, options, run) {
  const server = await startServer(config)
  const startedAt = performance.now()
  const sender = await openSender(server.url, options)
  await run(sender)
  await sender.close()
  await server.stop()
  console.log(`trained: ${name}, ${Math.round(performance.now() - startedAt)} ms`)
}

/** Callers that each wait for their message before they send the next. */
async function flow(sender, all) {
  const rest = all.values()
  const caller = async () => {
    for (const message of rest) await sender.send(message)
  }
  await Promise.all(Array.from({ length: CALLERS }, caller))
}

const burst = (sender, all) => Promise.all(all.map((message) => sender.send(message)))

await work('one request a message', {}, {}, (sender) => flow(sender, messages(80_000)))
await work('a backlog', {}, {}, async (sender) => {
  for (let n = 0; n < 4; n++)
    await burst(
      sender,
      messages(10_000).map((message) => ({ ...message, id: `${n}/${message.id}` })),
    )
})
await work('arrays', {}, { route: 'messaging-array', batch: { mode: 'array' } }, (sender) => burst(sender, messages(20_000)))
await work(
  'a quota that is learned',
  { quota: QUOTA, latencyMs: { min: 0, max: 3 } },
  { rateLimit: { learn: true, start: TOO_MUCH, ceiling: TOO_MUCH } },
  (sender) => burst(sender, messages(4_000)),
)

const folder = mkdtempSync(path.join(os.tmpdir(), 'spillway-training-'))
const store = `file:${path.join(folder, 'outbox.db')}`
const filed = { organization: 'training', store }
try {
  await work('a file store', {}, filed, (sender) => flow(sender, messages(20_000)))
  // The token comes after the next opening only: they wait in the file.
  const waiting = { ...filed, credentials: { accessToken: () => new Promise(() => {}) }, queue: { maxMessages: 100_000 } }
  const held = await openSender('http://127.0.0.1:9', waiting)
  await Promise.all(messages(40_000).map((message) => held.enqueue({ ...message, id: `held/${message.id}` })))
  await held.close({ timeoutMs: 0 })
  await work('a restart', {}, { ...filed, queue: { maxMessages: 100_000 } }, (sender) => sender.drain())
} finally {
  rmSync(folder, { recursive: true, force: true })
}
