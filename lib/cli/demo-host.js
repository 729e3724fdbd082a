'use strict'

// One host of `spillway demo --hosts`: a process with a sender, which replays its part of the peak.

const { Sender } = require('../sender.js')
const { Replay } = require('./replay.js')

const READINGS_EVERY_MS = 100
const CLOSE_TIMEOUT_MS = 2_000

let sender

const TASKS = {
  async open({ options }) {
    sender = await Sender.open(options)
  },

  /** A message before the peak: it goes when the store of the budget knows who holds what. */
  async warmUp() {
    await sender.send({ id: 'warm-up', conversationId: 'warm-up', body: { id: 'warm-up' } })
  },

  async replay({ rows, speed }) {
    const replay = new Replay(rows, speed)
    const read = () => ({ settled: replay.settled, share: sender.stats().fleet.share })
    const reading = setInterval(() => process.send({ reading: read() }), READINGS_EVERY_MS)
    const send = ({ id, conversationId, seq, type, direction, from, text }) =>
      sender.send({ id, conversationId, body: { id, seq, type, direction, from, text } }).then(
        () => true,
        () => false,
      )
    const times = await replay.run(send, new AbortController().signal)
    clearInterval(reading)
    process.send({ reading: read() })
    const { duplicates } = sender.stats().counters
    await sender.close({ timeoutMs: CLOSE_TIMEOUT_MS })
    return { ...times, duplicates }
  },
}

process.on('message', ({ task, ...argument }) => {
  TASKS[task](argument).then(
    (value) => process.send({ value }),
    (error) => process.send({ problem: error.message }),
  )
})
// The parent is gone: nobody watches.
process.on('disconnect', () => process.exit())
