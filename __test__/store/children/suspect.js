'use strict'
// Holds a message that was refused, perhaps for everybody's sake, while the answer to another one is awaited; says so, and
// waits to be ended.
const { Sender } = require('../../../index.js')
const { until } = require('../../until.js')

const { options, messages } = JSON.parse(process.argv.at(-1))

async function main() {
  const sender = await Sender.open(options)
  process.on('SIGTERM', () => sender.close({ timeoutMs: 0 }).then(() => process.exit(0)))
  for (const message of messages) await sender.enqueue(message)
  const isHeld = ({ counters, queue }) => counters.requests === messages.length && queue.inFlight === 1
  await until(() => isHeld(sender.stats()))
  console.log(JSON.stringify(sender.stats().queue))
}

setInterval(() => {}, 60_000)
main()
