'use strict'

const path = require('node:path')

const { Sender } = require('../sender.js')
const { Simulator } = require('../simulator.js')
const { throughFleet } = require('./demo-fleet.js')
const { HandRolled, TRIES_MAX } = require('./handrolled.js')
const { idealTime } = require('./ideal.js')
const { EXIT_INTERRUPTED, untilAborted, watchInterrupt } = require('./interrupt.js')
const { jsonLines, openInput } = require('./jsonlines.js')
const { engineReading, NO_PROGRESS, Progress } = require('./progress.js')
const { Replay } = require('./replay.js')
const { count, seconds, summaryTable } = require('./summary.js')
const { number, UsageError } = require('./usage.js')

const EXAMPLE = path.join(__dirname, '../../examples/webchat-peak.jsonl')
const QUOTA_PER_SECOND = 100
const SPEED_MAX = 1000
const HOSTS_MAX = 16
const CREDENTIALS = { clientId: 'demo', clientSecret: 'demo-secret' }
const CLOSE_TIMEOUT_MS = 2000

const help = `Usage: spillway demo [--file PATH] [--compare] [--speed N] [--hosts N] [--ui] [--json]

Starts a simulated Genesys that allows ${QUOTA_PER_SECOND} requests a second (fixed window, Retry-After: 0, 20-60 ms latency,
OAuth), sends a peak hour of chat messages through Spillway to it, and sums up what arrived.

Options:
  --file PATH   another peak: JSON lines {atMs, id, conversationId, seq, type, direction, from, text};
                default: the example that comes with the package
  --compare     then also the hand-rolled way: a POST a message, exponential backoff with jitter, ${TRIES_MAX} tries
  --speed N     everything N times as fast, the quota too (0.01 to ${SPEED_MAX}, default 1)
  --hosts N     the same through N processes that share one budget (2 to ${HOSTS_MAX}), and each one's share while it runs
  --budget URL  where they share it; default: a redis-server or valkey-server of the PATH, which ends with the demo
  --install-redis
                if there is none on the PATH: install Debian's redis-server first (as root, or by sudo)
  --ui          a dashboard on this machine to watch it; it stays until Ctrl-C
  --json        the summary as JSON, and no progress
  -h, --help    this text
  --version     the version

Exit code: 0 if nothing was lost, 1 if something was, 2 for a wrong argument or file, 130 after Ctrl-C.
`

const options = {
  file: { type: 'string' },
  compare: { type: 'boolean' },
  speed: { type: 'string' },
  hosts: { type: 'string' },
  budget: { type: 'string' },
  'install-redis': { type: 'boolean' },
  ui: { type: 'boolean' },
}

async function run(values, _positionals, io) {
  const speed = values.speed === undefined ? 1 : number('--speed', values.speed, { min: 0.01, max: SPEED_MAX })
  const hosts = values.hosts === undefined ? 1 : number('--hosts', values.hosts, { min: 2, max: HOSTS_MAX, integer: true })
  for (const name of ['budget', 'install-redis']) {
    if (values[name] !== undefined && hosts === 1) throw new UsageError(`--${name} goes with --hosts`)
  }
  if (values.ui && (values.compare || hosts > 1)) throw new UsageError('--ui goes with neither --compare nor --hosts')
  const peak = await readPeak(values.file ?? EXAMPLE, speed)
  const { signal, release } = watchInterrupt(io.signals)
  const { json: quiet = false, budget, 'install-redis': mayInstall = false, ui = false } = values
  const stage = { peak, signal, io, quiet, hosts, budget, mayInstall, ui, isDone: false }
  if (!values.json) io.stdout.write(introduction(peak))
  try {
    const runs = [await onSimulator(stage, hosts === 1 ? throughSpillway : throughSeveral)]
    if (values.compare && !signal.aborted) runs.push(await onSimulator(stage, handRolled))
    if (signal.aborted && !stage.isDone) return interrupted(runs, io)
    io.stdout.write(values.json ? `${JSON.stringify({ runs })}\n` : `\n${summaryTable(runs)}`)
    return runs[0].lost === 0 ? 0 : 1
  } finally {
    release()
  }
}

/** The rows in the order of their arrival, and the best time that anybody could need for them. */
async function readPeak(file, speed) {
  const rows = []
  for await (const { line, value } of jsonLines(openInput(file), file)) rows.push(checkRow(value, file, line))
  if (rows.length === 0) throw new UsageError(`${file} has no messages`)
  rows.sort((a, b) => a.atMs - b.atMs)
  const seen = new Set()
  const firsts = rows.filter(({ id }) => seen.size < seen.add(id).size)
  const quota = Math.max(1, Math.round(QUOTA_PER_SECOND * speed))
  const idealMs = Math.max(
    rows.at(-1).atMs / speed,
    idealTime(
      firsts.map((row) => row.atMs / speed),
      quota,
      1000,
    ),
  )
  return { rows, unique: firsts.length, quota, speed, idealMs }
}

function checkRow(row, file, line) {
  const right =
    typeof row === 'object' &&
    row !== null &&
    Number.isFinite(row.atMs) &&
    row.atMs >= 0 &&
    [row.id, row.conversationId].every((text) => typeof text === 'string' && text !== '')
  if (right) return row
  throw new UsageError(`${file}, line ${line}: must have atMs (a number, not below 0), id and conversationId (texts)`)
}

function introduction({ rows, unique, quota, idealMs }) {
  const conversations = new Set(rows.map((row) => row.conversationId)).size
  return (
    `${count(rows.length)} messages (${count(unique)} different) of ${count(conversations)} conversations, to a server ` +
    `that allows ${count(quota)} requests a second: ${seconds(idealMs)} at best.\n`
  )
}

/** Each way gets a server of its own, with the same settings and an empty ledger. */
async function onSimulator(stage, way) {
  const { peak } = stage
  const simulator = await Simulator.start({
    quota: { requests: peak.quota, perMs: 1000, algorithm: 'fixed-window' },
    retryAfter: 'zero',
    headers: 'x',
    latencyMs: { min: 20, max: 60 },
    credentials: CREDENTIALS,
  })
  try {
    const { name, duplicatesRecognized, elapsedMs, delayMs, warmUps = 0 } = await way(stage, simulator)
    const ledger = simulator.ledger()
    const delivered = ledger.uniqueIds - warmUps
    return {
      name,
      messages: peak.rows.length,
      unique: peak.unique,
      delivered,
      lost: peak.unique - delivered,
      outOfOrder: ledger.orderViolations,
      duplicatesDelivered: ledger.duplicates,
      duplicatesRecognized,
      requests: ledger.arrivals - warmUps,
      throttled: ledger.refused,
      elapsedMs,
      idealMs: peak.idealMs,
      delayMs,
    }
  } finally {
    await simulator.close()
  }
}

function optionsFor({ url }) {
  return { organization: 'demo', apiUrl: url, loginUrl: url, credentials: CREDENTIALS, route: 'messaging', store: 'memory' }
}

function throughSeveral(stage, simulator) {
  return throughFleet(stage, simulator, optionsFor(simulator))
}

async function throughSpillway(stage, simulator) {
  const { peak, signal, io, quiet, ui } = stage
  const sender = await Sender.open({ ...optionsFor(simulator), rateLimit: { requests: peak.quota, perMs: 1000 } })
  const dashboard = ui ? await sender.serveDashboard({ readOnly: false }) : null
  if (dashboard !== null) io.stdout.write(quiet ? `${JSON.stringify({ dashboard: dashboard.url })}\n` : `dashboard at ${dashboard.url}\n`)
  const replay = new Replay(peak.rows, peak.speed)
  const read = () => ({ settled: replay.settled, total: peak.rows.length, ...engineReading(sender.stats()) })
  const progress = quiet ? NO_PROGRESS : new Progress(io.stdout, 'spillway   ', read)
  try {
    const send = (row) =>
      sender.send(messageOf(row), { signal }).then(
        () => true,
        () => false,
      )
    const times = await replay.run(send, signal)
    progress.stop()
    stage.isDone = !signal.aborted
    if (dashboard !== null && stage.isDone) await stay(dashboard, stage)
    return { name: 'Spillway', duplicatesRecognized: sender.stats().counters.duplicates, ...times }
  } finally {
    progress.stop()
    await sender.close({ timeoutMs: CLOSE_TIMEOUT_MS })
  }
}

/** The page shows the end of it until Ctrl-C. */
async function stay({ url }, { signal, io, quiet }) {
  if (!quiet) io.stdout.write(`All is sent. The dashboard stays at ${url} until Ctrl-C.\n`)
  await untilAborted(signal)
}

async function handRolled({ peak, signal, io, quiet }, simulator) {
  const client = new HandRolled(simulator.url, CREDENTIALS, signal)
  const replay = new Replay(peak.rows, peak.speed)
  const read = () => ({ settled: replay.settled, total: peak.rows.length, inFlight: client.inFlight })
  const progress = quiet ? NO_PROGRESS : new Progress(io.stdout, 'hand-rolled', read)
  try {
    const times = await replay.run((row) => client.send(row.conversationId, messageOf(row).body), signal)
    return { name: 'hand-rolled', duplicatesRecognized: 0, ...times }
  } finally {
    progress.stop()
  }
}

function messageOf({ id, conversationId, seq, type, direction, from, text }) {
  return { id, conversationId, body: { id, seq, type, direction, from, text } }
}

function interrupted(runs, io) {
  const { delivered, unique } = runs.at(-1)
  io.stderr.write(`interrupted: ${count(delivered)} of ${count(unique)} delivered\n`)
  return EXIT_INTERRUPTED
}

module.exports = { help, options, run }
