'use strict'

const { writeFile } = require('node:fs/promises')
const { performance } = require('node:perf_hooks')

const { baseUrls } = require('../regions.js')
const { Simulator } = require('../simulator.js')
const { Client } = require('../ramp/client.js')
const { isGenesysHost } = require('../ramp/hosts.js')
const { page } = require('../ramp/page.js')
const { reportOf } = require('../ramp/report.js')
const { Requests } = require('../ramp/requests.js')
const { Session } = require('../ramp/session.js')
const { intervalText, summaryRows } = require('../ramp/text.js')
const { verify } = require('../ramp/verify.js')
const { templateOf } = require('../otel/attributes.js')
const { readConfig } = require('./config.js')
const { withSecrets } = require('./credentials.js')
const { EXIT_INTERRUPTED, watchInterrupt } = require('./interrupt.js')
const { jsonLines, openInput } = require('./jsonlines.js')
const { NO_PROGRESS, Progress } = require('./progress.js')
const { rate, span } = require('./rate.js')
const { table } = require('./summary.js')
const { number, UsageError } = require('./usage.js')

const TO_DEFAULT = '200/1s'
const REPEAT = { default: 3, min: 1, max: 20, integer: true }
const REQUESTS_MAX = 100_000
const MINUTES_MAX = 60
const MESSAGES_MAX = 10_000
const WINDOW_MS = { min: 100, max: 86_400_000 }
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/
const EXIT = { notReached: 3, otherBreak: 4, unverified: 5, budget: 6 }
const DEMO_CREDENTIALS = { clientId: 'demo', clientSecret: 'demo-secret' }
const ALGORITHMS = ['fixed-window', 'opened-window', 'sliding-log', 'token-bucket']

const help = `Usage: spillway ramp --config FILE [--messages FILE] [--to N/TIME] [--repeat N] [--out FILE] [--verify] [--json]
       spillway ramp --demo [--verify] [--out FILE] [--json]

Finds the limit of a server from below: plateau by plateau until the first 429, then again to measure it. Prints how
many requests per window, by which algorithm and whose limit it is; writes a page with plots, and JSON alongside.

Genesys Cloud: a load test needs approval. Ask by a ticket two weeks ahead; it runs in the test environment that
Genesys names, between 23:00 and 05:00 of the region. Its hosts are refused without --approved TICKET.

Options:
  --config FILE      the options of Sender.open (types/options.d.ts) as JSON, without secrets
  --demo             a simulated server instead, with a limit that the command does not know
  --messages FILE    what to send, in turn: JSON lines as for spillway send; needed unless the host is this machine.
                     Each request is really sent: use conversations that are made for tests
  --to N/TIME        how far up, and how long a window is, as in 200/1s or 600/1m (default: ${TO_DEFAULT})
  --plateau TIME     the least time from plateau to plateau; at least one window, the default
  --repeat N         how often to measure the limit (1 to ${REPEAT.max}, default ${REPEAT.default}); at most about twice as many 429s
  --max-requests N   end after so many requests (default ${REQUESTS_MAX})
  --max-minutes N    end after so many minutes (default ${MINUTES_MAX})
  --approved TICKET  the ticket that allows a load test of Genesys Cloud; the report names it
  --out FILE         the page (default ramp.html); the data goes to the same name with .json
  --verify           then send through a Sender with the recommended rateLimit, and count the 429s
  --json             the report as JSON; progress goes to standard error either way
  -h, --help         this text
  --version          the version

Secrets come from the environment: SPILLWAY_CLIENT_ID and SPILLWAY_CLIENT_SECRET, or SPILLWAY_ACCESS_TOKEN.

Exit code:
  0    the limit was found; with --verify, no message met a 429
  ${EXIT.notReached}    nothing broke up to --to
  ${EXIT.otherBreak}    something else broke first: 5xx, 4xx, latency, this machine
  ${EXIT.unverified}    --verify met a 429
  ${EXIT.budget}    --max-requests or --max-minutes was reached
  130  Ctrl-C; all of these write the report
  1, 2 any other failure; a wrong argument, configuration or line
`

const options = {
  config: { type: 'string' },
  demo: { type: 'boolean' },
  messages: { type: 'string' },
  to: { type: 'string' },
  plateau: { type: 'string' },
  repeat: { type: 'string' },
  'max-requests': { type: 'string' },
  'max-minutes': { type: 'string' },
  approved: { type: 'string' },
  out: { type: 'string' },
  verify: { type: 'boolean' },
}

async function run(values, _positionals, io) {
  const settings = readSettings(values)
  if ((values.config === undefined) === !values.demo) throw new UsageError('one of --config FILE and --demo is needed')
  if (values.demo && values.messages !== undefined) throw new UsageError('--messages goes with --config')
  const { signal, release } = watchInterrupt(io.signals)
  const demo = values.demo ? await startDemo() : null
  try {
    const config = demo?.config ?? withSecrets(await readConfig(values.config), values.config, io.env)
    const report = await ramp(await targetOf(config, values), { settings, values, signal, io })
    if (demo !== null) report.demo = demo.quota
    await write(report, settings.out)
    show(report, settings.out, values, io)
    return exitCode(report)
  } finally {
    release()
    await demo?.simulator.close()
  }
}

function readSettings(values) {
  const to = rate('--to', values.to ?? TO_DEFAULT)
  if (to.requests < 1) throw new UsageError('--to must allow a request at least')
  if (to.perMs < WINDOW_MS.min || to.perMs > WINDOW_MS.max) throw new UsageError('--to must have a time from 100ms to 24h')
  const plateauMs = values.plateau === undefined ? to.perMs : span('--plateau', values.plateau)
  if (plateauMs < to.perMs) throw new UsageError('--plateau must be at least as long as the window of --to')
  if (values.approved !== undefined && values.approved.trim() === '') throw new UsageError('--approved must name the ticket')
  const optional = (name, fallback, bounds) => (values[name] === undefined ? fallback : number(`--${name}`, values[name], bounds))
  return {
    to,
    plateauMs,
    repeat: optional('repeat', REPEAT.default, REPEAT),
    requestsMax: optional('max-requests', REQUESTS_MAX, { min: 1, max: 1e9, integer: true }),
    minutesMax: optional('max-minutes', MINUTES_MAX, { min: 0.01, max: 10_080 }),
    approved: values.approved ?? null,
    out: values.out ?? 'ramp.html',
  }
}

/** A server with a limit that only chance knows. */
async function startDemo() {
  const quota = {
    requests: 20 + Math.floor(Math.random() * 40),
    perMs: 1000,
    algorithm: ALGORITHMS[Math.floor(Math.random() * ALGORITHMS.length)],
  }
  const simulator = await Simulator.start({
    quota,
    answerStyle: 'genesys',
    latencyMs: { min: 2, max: 6 },
    credentials: DEMO_CREDENTIALS,
  })
  const config = {
    organization: 'ramp-demo',
    apiUrl: simulator.url,
    loginUrl: simulator.url,
    credentials: DEMO_CREDENTIALS,
    route: 'messaging',
  }
  return { simulator, quota, config }
}

async function targetOf(config, values) {
  if (config.region === undefined && config.apiUrl === undefined) throw new UsageError('the configuration needs region or apiUrl')
  let urls
  try {
    urls = baseUrls(config)
  } catch {
    throw new UsageError('apiUrl, loginUrl or region of the configuration is not valid')
  }
  const host = new URL(urls.apiUrl).hostname
  if (isGenesysHost(urls.apiUrl) && values.approved === undefined) {
    throw new UsageError(
      `${host} belongs to Genesys Cloud, where a load test needs approval: ask by a ticket two weeks ahead, then name it with --approved TICKET`,
    )
  }
  const template = templateOf(typeof config.route === 'object' && config.route !== null ? config.route.path : config.route)
  if (typeof template !== 'string' || !template.startsWith('/'))
    throw new UsageError('the configuration needs a route: a preset or { path }')
  if (values.messages === undefined && !LOOPBACK.test(host))
    throw new UsageError('--messages FILE is missing: what may be sent to this host?')
  const messages = values.messages === undefined ? Requests.sample() : await readMessages(values.messages)
  return { config, urls, requests: new Requests({ template, messages }) }
}

async function readMessages(file) {
  const messages = []
  for await (const { line, value } of jsonLines(openInput(file), file)) {
    if (typeof value?.conversationId !== 'string' || value.conversationId === '' || value.body === undefined) {
      throw new UsageError(`${file}, line ${line}: must have conversationId (a text) and body`)
    }
    if (messages.push(value) > MESSAGES_MAX) throw new UsageError(`${file} has more than ${MESSAGES_MAX} messages`)
  }
  if (messages.length === 0) throw new UsageError(`${file} has no messages`)
  return messages
}

async function ramp({ config, urls, requests }, { settings, values, signal, io }) {
  const { to, plateauMs, repeat, requestsMax, minutesMax } = settings
  const client = new Client({ ...urls, credentials: config.credentials, headers: config.headers })
  const session = new Session(client, requests, { countMax: to.requests, plateauMs, repeat, requestsMax, minutesMax, signal })
  const startedAt = new Date().toISOString()
  const begin = performance.now()
  const read = () => ({
    settled: session.sent,
    total: null,
    share: session.reached / to.requests,
    inFlight: session.inFlight,
    note: `${session.trialName}, ${session.refusals.length} × 429`,
  })
  const progress = values.json && !io.stderr.isTTY ? NO_PROGRESS : new Progress(io.stderr, 'ramp', read)
  let found
  let limits
  try {
    try {
      await client.authorize()
    } catch (error) {
      // Ctrl-C cut it: what follows ends at once, and says so.
      if (!signal.aborted) throw error
    }
    limits = await session.readLimits()
    found = await session.run(to.perMs)
  } finally {
    progress.stop()
    client.close()
  }
  const report = reportOf({
    found,
    refusals: session.refusals,
    limits,
    target: new URL(urls.apiUrl).host,
    hasOther: requests.hasOther,
    settings: { to, plateauMs, repeat, requestsMax, minutesMax, approved: settings.approved },
    startedAt,
    elapsedMs: performance.now() - begin,
    sent: session.sent,
  })
  if (values.verify && report.recommended !== null && !signal.aborted) {
    await session.settle(report.windowMs)
    report.verify = await verify(config, report.recommended, requests, signal)
    if (signal.aborted) report.ended = 'interrupted'
  }
  return report
}

async function write(report, out) {
  try {
    await writeFile(out, page(report))
    await writeFile(dataFile(out), `${JSON.stringify(report, null, 2)}\n`)
  } catch (error) {
    throw new UsageError(`--out ${out} can't be written (${error.code})`)
  }
}

function dataFile(out) {
  return `${out.replace(/\.html?$/i, '')}.json`
}

function show(report, out, values, io) {
  if (values.json) {
    io.stdout.write(`${JSON.stringify(report)}\n`)
    return
  }
  io.stdout.write(`\n${table(summaryRows(report))}`)
  if (report.demo !== undefined) {
    const { requests, perMs, algorithm } = report.demo
    io.stdout.write(
      `\nThe simulator allowed ${intervalText({ interval: { low: requests, high: requests }, windowMs: perMs })} (${algorithm}).\n`,
    )
  }
  io.stdout.write(`\n${out} has the plots, ${dataFile(out)} the data.\n`)
}

function exitCode({ ended, verify: verified, interval }) {
  if (ended === 'interrupted') return EXIT_INTERRUPTED
  if (ended === 'requests' || ended === 'minutes') return EXIT.budget
  if (ended === 'not-reached') return EXIT.notReached
  if (interval === null || (ended !== '429' && ended !== 'tiny')) return EXIT.otherBreak
  return verified !== null && verified.throttled > 0 ? EXIT.unverified : 0
}

module.exports = { help, options, run }
