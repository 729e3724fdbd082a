'use strict'
// Starts threads up to the process's limit, so that the DNS lookup for a message fails, and then stops them.
const { once } = require('node:events')
const { Worker } = require('node:worker_threads')

const { Sender } = require('../../../index.js')
const { native } = require('../../../lib/load.js')
const { become, message, until } = require('../support.js')

const { options, user } = JSON.parse(process.argv.at(-1))

async function main() {
  native()
  become(user)
  const sender = await Sender.open(options)
  const workers = []
  try {
    for (;;) {
      const worker = new Worker('require("node:worker_threads").parentPort.on("message", () => {})', { eval: true })
      await once(worker, 'online')
      workers.push(worker)
    }
  } catch {}
  const sent = sender.send(message('m', 'c', 1))
  await until(() => sender.stats().counters.retries > 0)
  await Promise.all(workers.map((worker) => worker.terminate()))
  const { status } = await sent
  await sender.close()
  console.log(JSON.stringify({ status }))
}

main()
