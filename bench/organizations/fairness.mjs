// Organizations that all have more to send than the engine thread can do: what each gets of it.
import { message, openSender } from '../clients.mjs'
import { enqueueAll } from '../held.mjs'

const ORGANIZATIONS = 10
const MESSAGES = 5_000

export async function start({ url }) {
  const senders = []
  for (let index = 0; index < ORGANIZATIONS; index++) senders.push(await openSender(url, { connections: { max: 8 } }))
  return {
    async round() {
      const delivered = () => senders.map((sender) => sender.stats().counters.delivered)
      const before = delivered()
      const enqueued = senders.map((sender) => enqueueAll(sender, MESSAGES, message))
      const done = () => delivered().map((count, index) => count - before[index])
      const sum = () => done().reduce((total, count) => total + count, 0)
      while (sum() < (ORGANIZATIONS * MESSAGES) / 2) await new Promise((resolve) => setTimeout(resolve, 5))
      const counts = done()
      await Promise.all(enqueued)
      await Promise.all(senders.map((sender) => sender.drain()))
      return { least: Math.min(...counts), most: Math.max(...counts) }
    },
    stop: () => Promise.all(senders.map((sender) => sender.close())),
  }
}
