'use strict'
// Its `accessToken` function is called, and never gives one.
const { workerData } = require('node:worker_threads')

const { Sender } = require('../../../index.js')
const { message } = require('../support.js')

async function main({ options, shared }) {
  const accessToken = () => {
    Atomics.store(shared, 0, 1)
    return new Promise(() => setInterval(() => {}, 60_000))
  }
  const sender = await Sender.open({ ...options, credentials: { accessToken } })
  await sender.enqueue(message('m0', 'c0', 0))
}

main(workerData)
