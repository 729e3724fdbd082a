// A large organization, in a thread or a process of its own: it says when it is under way.
import { parentPort, workerData } from 'node:worker_threads'

import { message, openSender } from '../clients.mjs'
import { enqueueAll } from '../held.mjs'

const WAITING = 300_000
const LARGE_BYTES = 8 * 2 ** 20
const AT_ONCE = 4

const { load, url } = workerData ?? JSON.parse(process.argv[2])
const say = (word) => (parentPort === null ? process.send(word) : parentPort.postMessage(word))
if (parentPort === null) process.on('disconnect', () => process.exit())

/** Each begins, and resolves when it is under way. */
const LOADS = {
  // Its quota is that of a large customer, and all of it is used.
  async waiting(url) {
    const sender = await openSender(url, { rateLimit: { requests: 1_000, perMs: 1_000 }, queue: { maxMessages: WAITING } })
    await enqueueAll(sender, WAITING, message)
  },
  async bodies(url) {
    const sender = await openSender(url, { batch: { maxBytes: LARGE_BYTES + 1_024 } })
    const body = { text: 'x'.repeat(LARGE_BYTES - 1_024) }
    repeat((index) => sender.send({ conversationId: `large ${index % AT_ONCE}`, body }))
  },
  async answers(url) {
    const sender = await openSender(url)
    repeat(() => sender.request({ method: 'GET', path: '/large', maxResponseBytes: 2 * LARGE_BYTES }))
  },
}

function repeat(work) {
  let index = 0
  const caller = async () => {
    for (;;) await work(index++)
  }
  for (let each = 0; each < AT_ONCE; each++) caller().catch((error) => say({ error: String(error) }))
}

await LOADS[load](url)
say('under way')
