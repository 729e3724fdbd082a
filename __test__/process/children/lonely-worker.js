'use strict'
// The main thread never loads the addon; a worker does, sends, and ends. The engine then runs in a process in which no
// environment knows it. It ends when its parent, who sees what arrives, ends its stdin.
const { once } = require('node:events')
const { join } = require('node:path')
const { setTimeout: delay } = require('node:timers/promises')
const { Worker } = require('node:worker_threads')

async function main({ options, how, messages }) {
  const accepted = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(join(__dirname, 'sending-worker.js'), {
    workerData: { options, accepted, index: 0, messages, end: how },
  })
  const exited = once(worker, 'exit')
  while (Atomics.load(accepted, 0) < messages) await delay(5)
  if (how === 'terminated') await worker.terminate()
  await exited
  await once(process.stdin.resume(), 'end')
  const addonLoadedByMain = Object.keys(require.cache).some((file) => file.endsWith('.node'))
  console.log(JSON.stringify({ accepted: accepted[0], addonLoadedByMain }))
}

main(JSON.parse(process.argv.at(-1)))
