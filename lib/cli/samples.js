'use strict'

const { Sender } = require('../sender.js')
const { Simulator } = require('../simulator.js')

const EVERY_MS = 100
const CREDENTIALS = { clientId: 'sample', clientSecret: 'sample-secret' }
const OTHERS = { clientId: 'somebody-else', clientSecret: 'another-secret' }
const POISON = 'no such template'

/**
 * Organizations as a dashboard meets them, each on a simulated server of its own: how that is configured, how the sender is, and
 * how many messages per tenth of a second it gets, in how many conversations.
 */
const SAMPLES = [
  { organization: 'globex', server: {}, perTick: 2, conversations: 80 },
  { organization: 'initech', server: { latencyMs: { min: 30, max: 90 } }, perTick: 4, conversations: 200 },
  // Twice what its quota allows, at times: its backlog comes and goes.
  { organization: 'vandelay', server: { latencyMs: { min: 20, max: 60 } }, perTick: 5, conversations: 40, rate: 40 },
  // Its server allows less than it was told.
  { organization: 'umbrella', server: { quota: { requests: 60, perMs: 20_000 }, latencyMs: 20 }, perTick: 1, conversations: 12 },
  { organization: 'soylent', server: { credentials: OTHERS }, perTick: 0.2, conversations: 7 },
  { organization: 'cyberdyne', server: { poisonText: POISON, latencyMs: 15 }, perTick: 1, conversations: 25, poisonEvery: 17 },
  { organization: 'oscorp', server: {}, perTick: 0.5, conversations: 9, isPaused: true },
  { organization: 'tyrell', server: {}, perTick: 0, conversations: 1 },
]

/** Starts them; `simulated`, if given, is the URL of a server for one more. Gives `{ senders, simulators, close() }`. */
async function startSamples(simulated = null) {
  const simulators = []
  const senders = []
  const feeds = []
  const close = async () => {
    clearInterval(timer)
    await Promise.all(senders.map((sender) => sender.close({ timeoutMs: 0 })))
    await Promise.all(simulators.map((simulator) => simulator.close()))
  }
  let timer
  try {
    if (simulated !== null) {
      const sender = await open('simulated', simulated, 50)
      senders.push(sender)
      feeds.push(new Feed(sender, { perTick: 3, conversations: 50 }))
    }
    for (const sample of SAMPLES) {
      const simulator = await Simulator.start({ latencyMs: { min: 10, max: 30 }, ...sample.server })
      simulators.push(simulator)
      const sender = await open(sample.organization, simulator.url, sample.rate ?? 50)
      senders.push(sender)
      if (sample.isPaused) await sender.pause({ forMs: 3_600_000 })
      feeds.push(new Feed(sender, sample))
    }
  } catch (error) {
    await close()
    throw error
  }
  timer = setInterval(() => feeds.forEach((feed) => feed.tick()), EVERY_MS)
  return { senders, simulators, close }
}

function open(organization, url, rate) {
  return Sender.open({
    organization,
    apiUrl: url,
    loginUrl: url,
    credentials: CREDENTIALS,
    route: 'messaging',
    store: 'memory',
    rateLimit: { requests: rate, perMs: 1_000 },
    queue: { maxMessages: 20_000, whenFull: 'reject' },
  })
}

/** Hands a sender its messages, evenly. */
class Feed {
  #sender
  #sample
  #owed = 0
  #seq = 0

  constructor(sender, sample) {
    this.#sender = sender
    this.#sample = sample
  }

  tick() {
    const { perTick, conversations, poisonEvery = Number.POSITIVE_INFINITY } = this.#sample
    for (this.#owed += perTick; this.#owed >= 1; this.#owed--) {
      const seq = ++this.#seq
      const text = seq % poisonEvery === 0 ? POISON : `message ${seq}`
      // What becomes of it is on the page.
      this.#sender
        .enqueue({ id: `m-${seq}`, conversationId: `chat-${seq % conversations}`, body: { id: `m-${seq}`, text } })
        .catch(() => {})
    }
  }
}

module.exports = { startSamples }
