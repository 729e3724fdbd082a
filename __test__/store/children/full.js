'use strict'
// Opens a file on a disk that takes nothing (`mode`), then goes on while that comes and goes, and tells what it saw.
const fs = require('node:fs')

const { Sender } = require('../../../index.js')
const { message, until } = require('../support.js')

const { options, mode, control } = JSON.parse(process.argv.at(-1))
const set = (next) => fs.writeFileSync(control, next, { flag: 'r+' })
const told = ({ name, code, message }) => ({ name, code, message })

async function main() {
  const failed = (promise) => promise.then(() => null, told)
  set(mode)
  const opening = await failed(Sender.open(options))
  set('-')
  const sender = await Sender.open(options)
  const outages = []
  sender.on('outage', ({ reason, open }) => outages.push({ reason, open }))
  await sender.send(message('before', 'c', 1))
  set(mode)
  const writing = await failed(sender.enqueue(message('refused', 'c', 2)))
  const { problem } = sender.stats().store
  set('-')
  await until(() => sender.stats().store.problem === null)
  await sender.enqueue(message('again', 'c', 3))
  await sender.drain({ timeoutMs: 40_000 })
  await sender.close()
  // Full when there is a file already.
  set(mode)
  const reopening = await failed(Sender.open(options))
  console.log(JSON.stringify({ opening, writing, problem: told(problem), reopening, outages }))
}

main()
