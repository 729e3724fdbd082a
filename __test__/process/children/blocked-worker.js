'use strict'
// Listens, then takes nothing until it is told to go on; tells what it has heard when its own message is delivered.
const { parentPort, workerData } = require('node:worker_threads')

const { Sender } = require('../../../index.js')
const { message } = require('../support.js')

async function main() {
  const { options, gate } = workerData
  const sender = await Sender.open(options)
  let heard = 0
  sender.on('delivered', () => (heard += 1))
  const own = sender.send(message('own', 'own', 0))
  setImmediate(() => {
    parentPort.postMessage('blocked')
    Atomics.wait(gate, 0, 0)
  })
  const { id } = await own
  // All that waited for it has been taken before the answer to what is asked now.
  await sender.drain()
  parentPort.postMessage({ id, heard })
  await sender.close()
}

main()
