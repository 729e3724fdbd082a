'use strict'

// The verbs of the outbox command that are about copies of the file: backups, and damaged ones that were set aside.

const { Printer } = require('./printer.js')
const { count } = require('./summary.js')
const { pastTime } = require('./time.js')
const { UsageError } = require('./usage.js')

function backup(file, { id: target, json }, io) {
  const { bytes } = file.backup(target)
  io.stdout.write(json ? `${JSON.stringify({ target, bytes })}\n` : `${JSON.stringify(target)} has a copy of it, ${count(bytes)} bytes\n`)
  return 0
}

function markSent(file, { until, json }, io) {
  if (until === undefined) throw new UsageError('mark-sent needs --until TIME')
  // One to come would take out what nobody can have sent.
  const outcome = file.markSent(pastTime('until', until))
  const { marked, damaged } = outcome
  io.stdout.write(json ? `${JSON.stringify(outcome)}\n` : `${count(marked)} messages are marked as sent\n`)
  if (damaged > 0) io.stderr.write(`${count(damaged)} are left: they are not as they were written (spillway outbox PATH check)\n`)
  return damaged > 0 ? 1 : 0
}

const COLUMNS = [
  ['name', 48, (row) => row.name],
  ['kind', 9, kindOf],
  ['set aside', 20, (row) => row.stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z')],
  ['bytes', 0, (row) => count(row.bytes)],
]

function kindOf({ damaged }) {
  return damaged ? 'damaged' : 'recovered'
}

async function setAside(file, { json }, io) {
  await printFiles(file.setAside(), { json, none: 'no file is set aside' }, io)
  return 0
}

async function discard(file, { id, all, json }, io) {
  await printFiles(file.discard(all ? null : id), { json, none: 'no file is set aside' }, io)
  return 0
}

async function printFiles(rows, { json, none }, io) {
  const printer = new Printer(io.stdout, COLUMNS)
  for (const row of rows) await (json ? printer.json(row) : printer.row(row))
  if (!json && rows.length === 0) io.stdout.write(`${none}\n`)
  await printer.end()
}

module.exports = { backup, discard, markSent, setAside }
