'use strict'
// A process that sends a steady flow of messages and ends in the way that it is told to.
const { join } = require('node:path')
const { setTimeout: delay } = require('node:timers/promises')
const { Worker } = require('node:worker_threads')

const { Sender } = require('../../../index.js')
const { message } = require('../support.js')

const MESSAGES = 400
const WORKERS = 5

const { options, how } = JSON.parse(process.argv.at(-1))

async function open() {
  const sender = await Sender.open(options)
  sender.on('delivered', () => {})
  return sender
}

function submit(sender, send) {
  for (let seq = 0; seq < MESSAGES; seq++) {
    sender[send](message(`m${seq}`, `c${seq % 20}`, seq)).catch(() => {})
  }
}

/** In full flow: 400 promises are pending, some of the messages are on the wire, some have been answered. */
async function flow() {
  const sender = await open()
  submit(sender, 'send')
  await new Promise((resolve) => sender.once('delivered', resolve))
  console.log('flowing')
  return sender
}

const ways = {
  /** Everything is accepted, nothing is awaited: the event loop may end, though most is still queued. */
  async natural() {
    const sender = await open()
    for (let seq = 0; seq < MESSAGES; seq++) await sender.enqueue(message(`m${seq}`, `c${seq % 20}`, seq))
    console.log(JSON.stringify(sender.stats().queue.messages))
  },

  /** While a send is awaited the process lives, with nothing else to hold it. */
  async awaited() {
    const sender = await open()
    const receipts = await Promise.all([1, 2, 3].map((seq) => sender.send(message(`m${seq}`, 'c', seq))))
    console.log(JSON.stringify(receipts.map(({ status }) => status)))
  },

  async exit() {
    await flow()
    process.exit(7)
  },

  async 'exit in a listener'() {
    const sender = await flow()
    sender.on('delivered', () => process.exit(9))
  },

  async 'exit in a listener of exit'() {
    const sender = await flow()
    process.on('exit', () => {
      sender.stats()
      sender.send(message('late', 'c', 0)).catch(() => {})
      sender.close().catch(() => {})
    })
    process.exit(11)
  },

  async 'exit while closing'() {
    const sender = await flow()
    sender.close({ timeoutMs: 5_000 })
    setImmediate(() => process.exit(13))
  },

  async throw() {
    await flow()
    setImmediate(() => {
      throw new Error('thrown on purpose')
    })
  },

  async 'throw in a listener'() {
    const sender = await flow()
    sender.on('delivered', () => {
      throw new Error('thrown by a listener')
    })
  },

  async reject() {
    await flow()
    Promise.reject(new Error('rejected on purpose'))
  },

  async 'a send that nobody catches'() {
    const sender = await flow()
    sender.send({ conversationId: 'c' })
  },

  /** Waits for a signal of its parent; the promises that are pending hold the process. */
  async signal() {
    await flow()
  },

  async 'signal with a handler'() {
    const sender = await open()
    process.once('SIGTERM', async () => {
      console.log(JSON.stringify(await sender.close({ timeoutMs: 100 })))
    })
    submit(sender, 'send')
    await new Promise((resolve) => sender.once('delivered', resolve))
    console.log('flowing')
  },

  async 'exit with workers'() {
    const accepted = new Int32Array(new SharedArrayBuffer(4 * WORKERS))
    for (let index = 0; index < WORKERS; index++) {
      new Worker(join(__dirname, 'sending-worker.js'), {
        workerData: { options, accepted, index, messages: MESSAGES, everyMs: 1, end: 'terminated' },
      })
    }
    while (accepted.some((_, index) => Atomics.load(accepted, index) < 5)) await delay(5)
    console.log('flowing')
    process.exit(15)
  },

  async 'throw with workers'() {
    const accepted = new Int32Array(new SharedArrayBuffer(4 * WORKERS))
    const workers = Array.from({ length: WORKERS }, (_, index) => {
      return new Worker(join(__dirname, 'sending-worker.js'), {
        workerData: { options, accepted, index, messages: 20, everyMs: 1, end: 'throw' },
      })
    })
    for (const worker of workers.slice(1)) worker.on('error', () => {})
    // The first worker's error has no listener: it is this process's uncaught exception.
  },
}

ways[how]()
