'use strict'

const { errorFromThrown } = require('../errors.js')
const { native } = require('../load.js')
const { Printer } = require('./printer.js')
const { seconds } = require('./summary.js')
const { UsageError } = require('./usage.js')

const help = `Usage: spillway fleet URL --organization NAME [--json]

Looks into the Redis in which hosts share the budget of an organization, and changes nothing there: which hosts have a lease, what
they need and hold of each window of the quota, what nobody holds, and which pauses are in force.

URL is that of the option budget: redis://HOST:PORT, redis+sentinel://HOST:PORT,…/PRIMARY or redis+cluster://HOST:PORT,…; rediss with
TLS. Give user and password by SPILLWAY_REDIS_USERNAME and SPILLWAY_REDIS_PASSWORD: other users of the machine see arguments.

Options:
  --organization NAME   whose budget
  --json                one object
  -h, --help            this text
  --version             the version

Exit code: 0; 1 if the Redis can't be reached or refuses to tell; 2 for a wrong argument.
`

const options = { organization: { type: 'string' } }

const HOST_COLUMNS = [
  ['host', 14, (row) => row.host],
  ['lease', 6, (row) => (row.leaseMs > 0 ? seconds(row.leaseMs) : 'over')],
  ['conversations', 6, (row) => String(row.conversations)],
  ['window', 6, (row) => seconds(row.perMs)],
  ['quota', 6, (row) => String(row.requests)],
  ['needs', 6, (row) => String(row.needs)],
  ['target', 6, (row) => String(row.target)],
  ['share', 6, (row) => String(row.share)],
]
const FREE_COLUMNS = [
  ['window', 6, (row) => seconds(row.perMs)],
  ['free', 6, (row) => String(row.free)],
  ['resting', 6, (row) => String(row.resting)],
]
const PAUSE_COLUMNS = [
  ['pause of', 12, (row) => row.scope],
  ['lasts', 8, (row) => (row.lastsMs > 0 ? seconds(row.lastsMs) : 'until probed')],
  ['prober', 14, (row) => row.prober ?? '-'],
  ['name', 0, (row) => row.name || '-'],
]

async function run({ organization, json }, [url], io) {
  if (url === undefined) throw new UsageError('the URL of the Redis is missing')
  if (organization === undefined) throw new UsageError('--organization is missing')
  const state = look(url, organization)
  if (json) {
    io.stdout.write(`${JSON.stringify(state)}\n`)
    return 0
  }
  if (state.waitsMs !== null) {
    io.stdout.write(`It does not know yet who holds what: it hands out nothing for ${seconds(state.waitsMs)}.\n\n`)
  }
  const tables = [
    [HOST_COLUMNS, state.hosts, 'no host has a lease'],
    [FREE_COLUMNS, state.free, null],
    [PAUSE_COLUMNS, state.pauses, null],
  ]
  for (const [columns, rows, none] of tables) {
    if (rows.length === 0 && none === null) continue
    if (columns !== HOST_COLUMNS) io.stdout.write('\n')
    const printer = new Printer(io.stdout, columns)
    for (const row of rows) await printer.row(row)
    await printer.end()
    if (rows.length === 0) io.stdout.write(`${none}\n`)
  }
  return 0
}

function look(url, organization) {
  try {
    return JSON.parse(native().fleetOf(url, organization))
  } catch (thrown) {
    throw errorFromThrown(thrown)
  }
}

module.exports = { help, options, positionalsMax: 1, run }
