'use strict'
const { parentPort, workerData } = require('node:worker_threads')

const { Sender } = require('../../../index.js')

async function main() {
  try {
    const sender = await Sender.open(workerData)
    parentPort.postMessage({ opened: true })
    await sender.close({ timeoutMs: 0 })
  } catch ({ code, field, message }) {
    parentPort.postMessage({ code, field, message })
  }
}

main()
