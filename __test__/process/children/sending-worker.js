'use strict'
// A worker thread that sends until it is ended. It tells its parent through shared memory alone, so that nothing is lost
// with its event loop: `accepted[index]` is how many of its messages were accepted, each before the next was handed over.
const { setTimeout: delay } = require('node:timers/promises')
const { threadId, workerData } = require('node:worker_threads')

const { Sender } = require('../../../index.js')
const { message } = require('../support.js')

const CONVERSATIONS = 3

async function main({ options, accepted, index, messages, end, everyMs = 0 }) {
  if (end === 'starting') return
  const sender = await Sender.open(options)
  sender.on('delivered', () => {})
  for (let seq = 1; seq <= messages; seq++) {
    const next = message(`w${index}-${seq}`, `w${index}-c${seq % CONVERSATIONS}`, seq)
    // Some of its promises are pending when it ends.
    if (seq % 5 === 0) sender.send(next).catch(() => {})
    await sender.enqueue(next)
    Atomics.store(accepted, index, seq)
    if (everyMs > 0) await delay(everyMs)
  }
  if (end === 'exit') process.exit(0)
  if (end === 'throw') throw new Error(`worker ${threadId} throws on purpose`)
  if (end === 'close') await sender.close({ timeoutMs: 0 })
  if (end === 'terminated') await new Promise(() => setInterval(() => {}, 60_000))
}

main(workerData)
