'use strict'

// Sends one message and prints what came of it, and of what Node.js and Spillway warned. `bundled` stands for the roots that
// Node.js brings; with `inWorker` a worker thread opens a sender first.

const tls = require('node:tls')
const { once } = require('node:events')
const { Worker } = require('node:worker_threads')

const { Sender } = require('../../../index.js')

const { options, bundled, inWorker } = JSON.parse(process.argv[2])
const warnings = []
process.on('warning', ({ code, message }) => warnings.push({ code, message }))

if (bundled !== undefined) tls.getCACertificates = () => bundled

async function main() {
  if (inWorker) {
    const index = JSON.stringify(require.resolve('../../../index.js'))
    const code = `
      const { Sender } = require(${index})
      const { workerData, parentPort } = require('node:worker_threads')
      Sender.open(workerData).then((sender) => sender.close({ timeoutMs: 0 })).then(() => parentPort.postMessage('closed'))`
    const worker = new Worker(code, { eval: true, workerData: { ...options, organization: 'of the worker' } })
    await Promise.all([once(worker, 'message'), once(worker, 'exit')])
  }
  const outcome = await send()
  console.log(JSON.stringify({ outcome, warnings }))
}

async function send() {
  let sender
  try {
    sender = await Sender.open(options)
    const { status } = await sender.send({ id: 'm', conversationId: 'c', body: { text: 'hi' } })
    return { status }
  } catch ({ code, field, message }) {
    return { code, field, message }
  } finally {
    await sender?.close({ timeoutMs: 0 })
  }
}

main()
