'use strict'
// Drops senders in every state, and asks the collector for what it can get.
const { setImmediate: tick } = require('node:timers/promises')

const { Sender, Simulator } = require('../../../index.js')
const { message } = require('../support.js')

const SENDERS = 100

const { options } = JSON.parse(process.argv.at(-1))

async function dropOpen(index) {
  const sender = await Sender.open({ ...options, organization: `dropped ${index % 10}` })
  if (index % 2 === 0) sender.on('delivered', () => {})
  if (index % 3 === 0) await sender.send(message(`open-${index}`, `c${index}`, index))
  if (index % 3 === 1) sender.enqueue(message(`open-${index}`, `c${index}`, index))
}

async function dropClosed(index) {
  const sender = await Sender.open({ ...options, organization: `closed ${index % 10}` })
  sender.on('delivered', () => {})
  await sender.send(message(`closed-${index}`, `c${index}`, index))
  await sender.close()
  return new WeakRef(sender)
}

async function dropSimulator() {
  await Simulator.start()
}

async function collect() {
  for (let pass = 0; pass < 10; pass++) {
    global.gc()
    await tick()
  }
}

async function main() {
  for (let index = 0; index < 10; index++) await dropSimulator()
  for (let index = 0; index < SENDERS; index++) await dropOpen(index)
  await collect()
  const references = []
  for (let index = 0; index < SENDERS; index++) references.push(await dropClosed(index))
  await collect()
  const collected = references.filter((reference) => reference.deref() === undefined).length
  console.log(JSON.stringify({ closed: SENDERS, collected }))
}

main()
