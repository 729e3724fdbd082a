'use strict'
// Opens a sender while this process may start no more threads, and once more when it may.
const { once } = require('node:events')
const { Worker } = require('node:worker_threads')

const { Sender } = require('../../../index.js')
const { native } = require('../../../lib/load.js')
const { become } = require('../support.js')

const { options, user } = JSON.parse(process.argv.at(-1))

async function attempt() {
  try {
    const sender = await Sender.open(options)
    await sender.close({ timeoutMs: 0 })
    return { opened: true }
  } catch ({ code, message }) {
    return { opened: false, code, message }
  }
}

/** Workers until no thread is left for another. */
async function takeAllThreads() {
  const workers = []
  for (;;) {
    try {
      const worker = new Worker('require("node:worker_threads").parentPort.on("message", () => {})', { eval: true })
      await once(worker, 'online')
      workers.push(worker)
    } catch (error) {
      return { workers, code: error.code }
    }
  }
}

async function main() {
  native()
  become(user)
  const { workers, code } = await takeAllThreads()
  const scarce = await attempt()
  await Promise.all(workers.map((worker) => worker.terminate()))
  const plenty = await attempt()
  console.log(JSON.stringify({ workers: workers.length, code, scarce, plenty }))
}

main()
