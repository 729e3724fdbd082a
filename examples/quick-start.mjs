// node examples/quick-start.mjs
// A burst of 60 messages through a quota of 30 a second: all arrive, in order, and nobody is told 429.
import { Sender, Simulator } from 'spillway'

const simulator = await Simulator.start({ quota: { requests: 30, perMs: 1_000 }, latencyMs: { min: 5, max: 20 } })

const sender = await Sender.open({
  organization: 'acme',
  apiUrl: simulator.url, // in production: region: 'us-east-1'
  loginUrl: simulator.url,
  credentials: { clientId: 'quick-start', clientSecret: 'not-a-secret' },
  route: 'messaging',
  store: 'memory',
  rateLimit: { requests: 30, perMs: 1_000 },
})

const receipts = await Promise.all(
  Array.from({ length: 60 }, (_, index) =>
    sender.send({ conversationId: `conversation-${index % 6}`, body: { text: `message ${index}`, seq: index } }),
  ),
)

const { accepted, refused, orderViolations, mostInWindow } = simulator.ledger()
console.log(`${receipts.length} receipts, the first: status ${receipts[0].status} after ${receipts[0].attempts} attempt`)
console.log(`server: ${accepted} accepted, ${refused} refused, ${orderViolations} out of order, at most ${mostInWindow} in a second`)

await sender.close()
await simulator.close()
