'use strict'

// How long a simulator lives: until it is closed, or its thread ends.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const net = require('node:net')
const { test } = require('node:test')
const { Worker } = require('node:worker_threads')

const { Simulator } = require('../../index.js')
const { assertEnd, run, until } = require('./support.js')

/** Whether somebody listens there. */
function isServed(url) {
  const { hostname, port } = new URL(url)
  return new Promise((resolve) => {
    const socket = net.connect(Number(port), hostname, () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

test('a simulator of which only the address is kept goes on, and lets the process end', async () => {
  const end = await run('simulator-url.js', {}, { nodeArgs: ['--expose-gc'] })
  assertEnd(end, { code: 0 })
  assert.deepEqual(JSON.parse(end.stdout), { before: 200, after: 200 })
})

test('it ends with close', async () => {
  const simulator = await Simulator.start()
  assert.equal(await isServed(simulator.url), true)
  await simulator.close()
  assert.equal(await isServed(simulator.url), false)
})

test('it ends with its worker thread, however that ends', async () => {
  const index = JSON.stringify(require.resolve('../../index.js'))
  for (const end of ['', 'setInterval(() => {}, 1_000)']) {
    const code = `
      require(${index}).Simulator.start().then(({ url }) => require('node:worker_threads').parentPort.postMessage(url))
      ${end}`
    const worker = new Worker(code, { eval: true })
    const exited = once(worker, 'exit')
    const [url] = await once(worker, 'message')
    if (end !== '') {
      assert.equal(await isServed(url), true)
      await worker.terminate()
    }
    await exited
    await until(async () => !(await isServed(url)))
  }
})
