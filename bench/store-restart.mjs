// Opens an outbox and tells when its first message was delivered, and the memory that the process takes then.
import { Sender } from '../index.mjs'

const bareBytes = process.memoryUsage.rss()
const startedAt = performance.now()
const sender = await Sender.open(JSON.parse(process.argv[2]))
const openedMs = performance.now() - startedAt
// A request is on the wire before it is answered: this is a little late, if anything.
await new Promise((resolve) => {
  sender.once('delivered', resolve)
  // Promises that are awaited keep a process; a listener doesn't.
  sender.drain({ timeoutMs: 60_000 }).catch(() => {})
})
const firstMs = performance.now() - startedAt
const rssBytes = process.memoryUsage.rss()
const { recovered } = sender
process.stdout.write(JSON.stringify({ openedMs, firstMs, rssBytes, bareBytes, recovered }), () => process.exit())
