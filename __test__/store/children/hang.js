'use strict'
// Goes on while the disk of its files hangs, and tells what it saw.
const assert = require('node:assert/strict')
const fs = require('node:fs')

const { Sender } = require('../../../index.js')
const { message, until } = require('../support.js')

const { options, elsewhere, beside, control } = JSON.parse(process.argv.at(-1))
const set = (mode) => fs.writeFileSync(control, mode, { flag: 'r+' })

async function main() {
  const sender = await Sender.open(options)
  const other = await Sender.open(elsewhere)
  const outages = []
  sender.on('outage', ({ reason, open, message }) => outages.push({ reason, open, message }))
  await sender.send(message('before', 'c', 1))
  await sender.enqueue({ ...message('waiting', 'd', 1), notBefore: Date.now() + 1_000 })

  set('h')
  const waits = sender.enqueue(message('in-the-hang', 'c', 2))
  await until(() => outages.length === 1)
  const { problem } = sender.stats().store
  const reasons = (await sender.explain('in-the-hang')).reasons.map(({ kind }) => kind)
  await other.send(message('during', 'c', 1))
  const opening = Sender.open(beside)
  await other.send(message('while-opening', 'c', 2))
  await assert.rejects(sender.drain({ timeoutMs: 10 }), { code: 'DRAIN_TIMEOUT' })

  set('-')
  const accepted = await waits
  const problemAfterwards = sender.stats().store.problem
  await (await opening).close()
  await sender.drain({ timeoutMs: 40_000 })
  await until(() => outages.length === 2)

  set('h')
  const refused = assert.rejects(sender.enqueue(message('never-accepted', 'c', 3)), { code: 'CLOSED' })
  await until(() => outages.length === 3)
  await sender.close({ timeoutMs: 0 })
  await refused
  console.log(JSON.stringify({ outages, problem, reasons, accepted: accepted.id, problemAfterwards }))
  // The disk still hangs, which keeps no process from ending.
  await other.close()
}

main()
