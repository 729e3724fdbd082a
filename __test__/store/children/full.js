'use strict'
// Opens an outbox on a full disk (`mode` says which error it gives), sends while the disk is freed and fills up again, and
// reports what happened. At the end the file is damaged while the disk is full.
const fs = require('node:fs')
const { dirname } = require('node:path')

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
  // And when it is damaged, so that another one is to take its place.
  const file = options.store.slice('file:'.length)
  const damaged = fs.readFileSync(file)
  damaged.fill(0xaa, 0, 4_096)
  set('-')
  fs.writeFileSync(file, damaged)
  set(mode)
  const swapping = await failed(Sender.open(options))
  const isLeft = fs.readFileSync(file).equals(damaged) && fs.readdirSync(dirname(file)).every((name) => !/corrupt|recovered/.test(name))
  set('-')
  const last = await Sender.open(options)
  const { setAside } = last.stats().store
  await last.close()
  console.log(JSON.stringify({ errors: { opening, writing, problem: told(problem), reopening, swapping }, outages, isLeft, setAside }))
}

main()
