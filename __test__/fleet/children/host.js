'use strict'

// A host of a fleet: one process with one sender. Its parent tells it what to send, and hears what comes of it.

const { Sender } = require('../../../index.js')

const EVENTS = ['outage', 'throttled', 'resumed']

let sender
let delivered = 0
let failed = 0

const TASKS = {
  async open(options) {
    sender = await Sender.open(options)
    for (const name of EVENTS) sender.on(name, (payload) => process.send({ event: name, payload, at: Date.now() }))
  },
  /** Each message is one of a conversation of its own, unless `conversations` says how many there are. */
  send({ prefix, count, conversations = count }) {
    for (let at = 0; at < count; at++) {
      const id = `${prefix}-${at}`
      sender.send({ id, conversationId: `${prefix}-c${at % conversations}`, body: { id, text: id } }).then(
        () => delivered++,
        () => failed++,
      )
    }
  },
  read: () => ({ delivered, failed, stats: sender.stats() }),
  explain: (id) => sender.explain(id),
  close: () => sender.close({ timeoutMs: 0 }),
}

process.on('message', async ({ number, task, argument }) => {
  try {
    const value = await TASKS[task](argument)
    process.send({ number, value })
  } catch (error) {
    process.send({ number, problem: error.message })
  }
})
