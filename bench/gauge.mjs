// A simulator in a process of its own that can be changed while it runs, and that reads its ledger at a steady pace:
// contest.mjs asks it by messages, and it ends with its parent.
import { Simulator } from '../index.mjs'

const { everyMs, ...config } = JSON.parse(process.argv[2])
const simulator = await Simulator.start(config)
const readings = []
let startedAt

function read() {
  const { arrivals, accepted, refused } = simulator.ledger()
  readings.push({ atMs: performance.now() - startedAt, arrivals, accepted, refused })
}

function start() {
  startedAt = performance.now()
  if (everyMs !== undefined) setInterval(read, everyMs).unref()
}

const answers = {
  start,
  ledger: () => simulator.ledger(),
  readings: () => readings,
  set: (changes) => simulator.set(changes),
}

process.on('message', async ({ ask, given }) => process.send({ answer: await answers[ask](given) }))
process.on('disconnect', () => process.exit())
process.send({ answer: simulator.url })
