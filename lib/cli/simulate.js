'use strict'

const { serveDashboard } = require('../dashboard/serve.js')
const { Simulator } = require('../simulator.js')
const { readConfig } = require('./config.js')
const { untilAborted, watchInterrupt } = require('./interrupt.js')
const { rate, UNIT_MS } = require('./rate.js')
const { startSamples } = require('./samples.js')
const { count, table } = require('./summary.js')
const { number, UsageError } = require('./usage.js')

const help = `Usage: spillway simulate [--port N] [--host H] [--quota N/TIME]... [--outage KIND@FROM+FOR]... [--config FILE]
                         [--ui] [--json]

Runs a simulated Genesys (API and login host in one), prints its URL, and after Ctrl-C what arrived.

Options:
  --port N         the port; default: one that is free
  --host H         the address to listen at; default 127.0.0.1
  --quota N/TIME   allow N requests in TIME, as in 100/1s, 300/1m or 5/200ms; several hold together
  --outage KIND@FROM+FOR
                   an outage that begins FROM after the start and lasts FOR, as in refused@10s+1m, html:502@5s+500ms;
                   KIND is refused, reset, tls, hang, status or html, the last two with a status if wanted
  --config FILE    further settings, JSON: those of Simulator.start in types/simulator.d.ts
  --ui             also organizations that send: one to this server, others to servers in all kinds of trouble; and a
                   dashboard on this machine to watch them, and to pause, resume, redrive and drop
  --json           a line of JSON with the URL, then one with the ledger
  -h, --help       this text
  --version        the version
`

const options = {
  port: { type: 'string' },
  host: { type: 'string' },
  quota: { type: 'string', multiple: true },
  outage: { type: 'string', multiple: true },
  config: { type: 'string' },
  ui: { type: 'boolean' },
}

async function run(values, _positionals, io) {
  const config = values.config === undefined ? {} : await readConfig(values.config)
  if (values.port !== undefined) config.port = number('--port', values.port, { min: 0, max: 65_535, integer: true })
  if (values.host !== undefined) config.host = values.host
  if (values.quota !== undefined) config.quota = values.quota.map((text) => rate('--quota', text))
  if (values.outage !== undefined) config.outages = values.outage.map(parseOutage)

  const { signal, release } = watchInterrupt(io.signals)
  const simulator = await Simulator.start(config).catch((error) => {
    release()
    throw error
  })
  const url = simulator.url
  const shown = values.ui ? await show(url) : null
  const dashboard = shown === null ? {} : { dashboard: shown.url }
  io.stdout.write(values.json ? `${JSON.stringify({ url, ...dashboard })}\n` : `simulator at ${url} (Ctrl-C ends it)\n`)
  if (shown !== null && !values.json) io.stdout.write(`dashboard at ${shown.url}\n`)
  await untilAborted(signal)
  await shown?.close()
  const ledger = simulator.ledger()
  await simulator.close()
  io.stdout.write(values.json ? `${JSON.stringify({ ledger })}\n` : `\n${ledgerTable(ledger)}`)
  return 0
}

/** Organizations that send, and a page to watch them. */
async function show(url) {
  const samples = await startSamples(url)
  const dashboard = await serveDashboard(samples.senders, { readOnly: false })
  return {
    url: dashboard.url,
    close: async () => {
      await dashboard.close()
      await samples.close()
    },
  }
}

function parseOutage(text) {
  const match = /^([a-z]+)(?::(\d{3}))?@(\d+)(ms|s|m|h)\+(\d+)(ms|s|m|h)$/.exec(text)
  if (!match) throw new UsageError(`--outage must be like refused@10s+1m (KIND@FROM+FOR), got ${JSON.stringify(text)}`)
  const [, kind, status, from, fromUnit, span, spanUnit] = match
  const outage = { kind, fromMs: Number(from) * UNIT_MS[fromUnit], forMs: Number(span) * UNIT_MS[spanUnit] }
  return status === undefined ? outage : { ...outage, status: Number(status) }
}

function ledgerTable(ledger) {
  const statuses = Object.entries(ledger.statuses).map(([status, times]) => `${count(times)} × ${status}`)
  return table([
    ['requests that arrived', count(ledger.arrivals)],
    ['accepted', count(ledger.accepted)],
    ['refused with 429', count(ledger.refused)],
    ['answers', statuses.join(', ') || 'none'],
    [`most in any ${count(ledger.windowMs)} ms`, count(ledger.mostInWindow)],
    ['different ids', count(ledger.uniqueIds)],
    ['accepted, answered with an error', count(ledger.acceptedThenFailed)],
    ['met an outage', count(ledger.outageRequests)],
    ['accepted twice', count(ledger.duplicates)],
    ['out of order', count(ledger.orderViolations)],
    ['most in flight', count(ledger.maxInFlight)],
    ['most in flight of a conversation', count(ledger.maxInFlightPerConversation)],
    ['connections opened', count(ledger.connectionsOpened)],
    ['tokens issued', count(ledger.tokensIssued)],
  ])
}

module.exports = { help, options, run }
