'use strict'

const { SpillwayError } = require('../errors.js')
const { age, bytes, instant, report, statsText, verdictText } = require('./outbox-text.js')
const { OutboxFile } = require('./outbox-file.js')
const { Printer } = require('./printer.js')
const { drop, FILTERS, pause, redrive, resume } = require('./outbox-changes.js')
const { backup, discard, markSent, setAside } = require('./outbox-copies.js')
const { UsageError } = require('./usage.js')

const help = `Usage: spillway outbox PATH VERB [--organization NAME] [--json] [--bodies]

Looks into the file of a sender with store: 'file:PATH', also while that sender runs, and changes nothing in it:
  ls             the messages that wait, oldest first
  show ID        all that is known of an id
  stats          the file in numbers, and the process that has it open
  dead           the dead letters, oldest first
  export         everything as JSON lines: messages, dead letters, receipts
  check          whether all is as it was written; exit code 1 if not
  backup TARGET  a copy of it as it is now, in a new file of mode 0600
  set-aside      the damaged files that were set aside beside it, which are kept for 30 days

Changes it; while a sender has it open, its redrive(), drop(), pause() and resume() do the same:
  redrive ID     makes a message of a dead letter again, behind all others, with no attempt spent
  redrive --all  the same for all dead letters, oldest first
  redrive [--reason REASON] [--status STATUS] [--since TIME]
                 the same for those that were given up for this reason, with this status in their last answer, and
                 at this time or later
  drop ID        forgets a dead letter
  pause [--until TIME]
                 holds everything back from the next sender, until then or until resume
  resume         ends that; a pause that the server asked for is probed by the next sender at once

Changes it; no sender may have it open:
  mark-sent --until TIME  takes the messages that were accepted up to then out of it, as if they were delivered: after a
                          backup was restored, so that they aren't sent again

Removes files beside it:
  discard NAME   a file that was set aside
  discard --all  all damaged ones

TIME is like 2026-11-29T22:05:00Z, or milliseconds since 1970.

Options:
  --organization NAME
                 whose messages are meant, where several organizations have parts of the file; check, backup, set-aside
                 and discard are about the whole file
  --bodies       show what was to be sent and what was answered, which is hidden otherwise: in ls, show, dead and export
  --json         JSON: a line for each row, or one object
  -h, --help     this text
  --version      the version

Exit code: 0; 1 if the file can't be used, the id isn't there, or something is wrong or left; 2 for a wrong argument.
`

const options = {
  all: { type: 'boolean' },
  bodies: { type: 'boolean' },
  organization: { type: 'string' },
  reason: { type: 'string' },
  since: { type: 'string' },
  status: { type: 'string' },
  until: { type: 'string' },
}

/** What each verb takes beside PATH and --json. */
const VERBS = {
  ls: { run: list, organization: true, bodies: true },
  show: { run: show, organization: true, id: 'the ID of a message', bodies: true },
  stats: { run: stats, organization: true },
  dead: { run: dead, organization: true, bodies: true },
  redrive: { run: redrive, organization: true, id: 'the ID of a dead letter', all: true, reason: true, status: true, since: true },
  drop: { run: drop, organization: true, id: 'the ID of a dead letter' },
  pause: { run: pause, organization: true, until: true },
  resume: { run: resume, organization: true },
  export: { run: exportAll, organization: true, bodies: true },
  check: { run: check },
  backup: { run: backup, id: 'the TARGET, a new file' },
  'mark-sent': { run: markSent, organization: true, until: true },
  'set-aside': { run: setAside },
  discard: { run: discard, id: 'the NAME of a file that was set aside', all: true },
}

async function run(values, [path, name, id], io) {
  const known = `known are ${Object.keys(VERBS).join(', ')}`
  if (path === undefined) throw new UsageError('the path of the file is missing')
  if (name === undefined) throw new UsageError(`what to do is missing; ${known}`)
  if (!Object.hasOwn(VERBS, name)) throw new UsageError(`unknown ${JSON.stringify(name)}; ${known}`)
  const verb = VERBS[name]
  checkArguments(name, verb, values, id)
  const file = new OutboxFile(plainPath(path), { bodies: values.bodies === true, organization: values.organization })
  const { reason, since, status, until } = values
  const given = { id, all: values.all === true, reason, since, status, until }
  return verb.run(file, { ...given, json: values.json === true }, io)
}

function checkArguments(name, verb, values, id) {
  for (const option of Object.keys(options)) {
    if (values[option] !== undefined && !verb[option]) throw new UsageError(`${name} takes no --${option}`)
  }
  if (!verb.id && id !== undefined) throw new UsageError(`unexpected argument ${JSON.stringify(id)}`)
  const [filter] = FILTERS.filter((option) => values[option] !== undefined)
  const many = values.all ? 'all' : filter
  if (many !== undefined && id !== undefined) throw new UsageError(`${name} takes an ID or --${many}, not both`)
  if (values.all && filter !== undefined) throw new UsageError(`${name} takes --all or --${filter}, not both`)
  if (verb.id && id === undefined && many === undefined) {
    throw new UsageError(`${name} needs ${verb.id}${verb.all ? ', or --all' : ''}`)
  }
}

/** The path as it stands in `store`, too: `file:./outbox.db?durability=process-crash`. */
function plainPath(path) {
  return path.startsWith('file:')
    ? path
        .slice('file:'.length)
        .replace(/\?.*$/, '')
        .replace(/^\/\/(?=\/)/, '')
    : path
}

const MESSAGE_COLUMNS = [
  ['number', 8, (row) => String(row.seq)],
  ['id', 36, (row) => row.id ?? '-'],
  ['conversation', 36, (row) => row.conversationId ?? '-'],
  ['state', 8, (row) => (row.ambiguous ? `${row.state}?` : row.state)],
  ['attempts', 8, (row) => String(row.attempts)],
  ['bytes', 7, (row) => bytes(row.bytes)],
  ['accepted', 24, (row) => instant(row.acceptedAtMs)],
  ['age', 6, (row) => age(row.acceptedAtMs)],
]
const LETTER_COLUMNS = [
  ['number', 8, (row) => String(row.number)],
  ['id', 36, (row) => row.id ?? '-'],
  ['conversation', 36, (row) => row.conversationId ?? '-'],
  ['reason', 9, (row) => row.reason],
  ['status', 6, (row) => String(row.status ?? '-')],
  ['attempts', 8, (row) => String(row.attempts)],
  ['given up', 24, (row) => instant(row.atMs)],
  ['age', 6, (row) => age(row.atMs)],
]
const BODY_COLUMN = ['body', 0, (row) => (row.body === undefined ? '-' : JSON.stringify(row.body))]

function list(file, { json }, io) {
  return printRows(file.messages(), MESSAGE_COLUMNS, { file, json, none: 'no messages wait' }, io)
}

function dead(file, { json }, io) {
  return printRows(file.letters(), LETTER_COLUMNS, { file, json, none: 'no dead letters' }, io)
}

async function printRows(rows, columns, { file, json, none }, io) {
  const printer = new Printer(io.stdout, file.bodies ? [...columns, BODY_COLUMN] : columns)
  for (const row of rows) await (json ? printer.json(row) : printer.row(row))
  if (!json && printer.rows === 0) io.stdout.write(`${none}\n`)
  await printer.end()
  return 0
}

async function show(file, { id, json }, io) {
  const found = file.find(id)
  if (found.length === 0) {
    throw new SpillwayError(`no message, dead letter or receipt has the id ${JSON.stringify(id)}`, { code: 'NOT_FOUND' })
  }
  const printer = new Printer(io.stdout)
  for (const row of found) await (json ? printer.json(row) : printer.text(`${printer.rows > 0 ? '\n' : ''}${report(row)}`))
  await printer.end()
  return 0
}

function stats(file, { json }, io) {
  const numbers = file.stats()
  io.stdout.write(json ? `${JSON.stringify(numbers)}\n` : statsText(numbers))
  return 0
}

async function exportAll(file, _options, io) {
  const printer = new Printer(io.stdout)
  for (const row of file.messages()) await printer.json({ kind: 'message', ...row })
  for (const row of file.letters()) await printer.json({ kind: 'letter', ...row })
  for (const row of file.receipts()) await printer.json({ kind: 'receipt', ...row })
  await printer.end()
  return 0
}

function check(file, { json }, io) {
  const verdict = file.check()
  io.stdout.write(json ? `${JSON.stringify(verdict)}\n` : verdictText(verdict))
  return verdict.ok ? 0 : 1
}

module.exports = { help, options, positionalsMax: 3, run }
