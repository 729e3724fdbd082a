'use strict'

const assert = require('node:assert/strict')
const { createServer } = require('node:http')
const { once } = require('node:events')
const { beforeEach, test } = require('node:test')

const { use } = require('../../lib/load.js')
const { HandRolled } = require('../../lib/cli/handrolled.js')
const { quantile, table } = require('../../lib/cli/summary.js')
const { Output } = require('../../lib/cli/output.js')
const { Progress } = require('../../lib/cli/progress.js')
const { cli, scratch, until } = require('./cli-io.js')
const { FakeSender, FakeWaker } = require('./fake-binding.js')

let server

/** A server that gives tokens, counts, and answers what `respond(n)` says to the n-th message. */
class FakeSimulator {
  static respond = () => 202
  counts = {
    arrivals: 0,
    accepted: 0,
    refused: 0,
    statuses: {},
    windowMs: 1000,
    mostInWindow: 1,
    duplicates: 0,
    orderViolations: 0,
    acceptedThenFailed: 0,
    outageRequests: 0,
    maxInFlight: 1,
    maxInFlightPerConversation: 1,
    connectionsOpened: 1,
    tokensIssued: 0,
  }
  ids = new Set()

  static async start(config) {
    if (config.includes('"port":1,')) throw new Error('{"code":"CONFIG_INVALID","message":"port must be free"}')
    server = new FakeSimulator()
    server.config = JSON.parse(config)
    server.http = createServer((request, response) => server.answer(request, response)).listen(0, '127.0.0.1')
    await once(server.http, 'listening')
    server.url = `http://127.0.0.1:${server.http.address().port}`
    return server
  }

  async answer(request, response) {
    let body = ''
    for await (const chunk of request) body += chunk
    if (request.url === '/oauth/token') {
      this.counts.tokensIssued++
      assert.equal(body, 'grant_type=client_credentials')
      return response.end('{"access_token":"t"}')
    }
    assert.equal(request.headers.authorization, 'Bearer t')
    const status = FakeSimulator.respond(++this.counts.arrivals)
    if (status === 429) this.counts.refused++
    if (status === 0) return request.socket.destroy()
    if (status < 300) this.accept(JSON.parse(body).id)
    response.writeHead(status).end()
  }

  accept(id) {
    this.counts.accepted++
    if (this.ids.has(id)) this.counts.duplicates++
    this.ids.add(id)
  }

  ledger() {
    return JSON.stringify({ ...this.counts, uniqueIds: this.ids.size })
  }

  async close() {
    this.http.closeAllConnections?.()
    this.http.close()
  }
}

/** Delivers to the ledger of the fake server at once, but for the ids in `losing`; `holding` keeps all. */
class DeliveringSender extends FakeSender {
  static losing = new Set()
  static holding = false

  static open(settings, ...wakes) {
    const sender = new DeliveringSender(settings, ...wakes)
    FakeSender.opened.push(sender)
    return sender
  }

  answers = { close: () => ['ok', { undelivered: 0 }] }

  submit(frame) {
    super.submit(frame)
    for (const { ticket, id } of DeliveringSender.holding ? [] : this.frames.at(-1)) {
      if (!DeliveringSender.losing.has(id) && !server.ids.has(id)) server.accept(id)
      this.complete([ticket, 'ok', { id }])
    }
  }

  stats() {
    return JSON.stringify({
      counters: { duplicates: 1 },
      queue: { messages: 0, waiting: 0 },
      budget: { available: 3 },
      pause: { reason: 'reset' },
      outage: null,
    })
  }
}

const rows = [
  { atMs: 40, id: 'b', conversationId: 'c', seq: 1, type: 'Text', direction: 'Inbound', from: {}, text: 'two' },
  { atMs: 0, id: 'a', conversationId: 'c', seq: 0, type: 'Text', direction: 'Inbound', from: {}, text: 'one' },
  { atMs: 80, id: 'a', conversationId: 'c', seq: 0, type: 'Text', direction: 'Inbound', from: {}, text: 'one' },
]
const peak = rows.map((row) => JSON.stringify(row)).join('\n')

beforeEach(() => {
  use({ NativeWaker: FakeWaker, NativeSender: DeliveringSender, NativeSimulator: FakeSimulator })
  DeliveringSender.losing = new Set()
  DeliveringSender.holding = false
  FakeSimulator.respond = () => 202
})

/** That `text` has the pattern, and that the seconds which it shows are no more than have passed. */
function assertSeconds(text, pattern, startedAt) {
  assert.match(text, pattern)
  const [, shown] = text.match(pattern)
  const passed = (performance.now() - startedAt) / 1_000
  assert.ok(Number(shown) <= passed + 0.05, `${shown} s shown, ${passed} s passed`)
}

test('the demo sends each row at its time, and sums up', async (t) => {
  const file = scratch(t)('peak.jsonl', peak)
  const startedAt = performance.now()
  const { code, stdout, stderr, listeners } = await cli(['demo', '--file', file])
  assert.deepEqual([code, stderr, listeners], [0, '', 0])
  assert.match(stdout, /^3 messages \(2 different\) of 1 conversations, to a server that allows 100 requests a second: 0\.08 s/)
  assertSeconds(stdout, /\nspillway {5}(\d+\.\d) s {2}3\/3 {2}\d+\/s {2}budget 3 {2}queued 0 {2}paused \(reset\)\n/, startedAt)
  assert.match(stdout, /\nmessages +3 \(2 different\)\ndelivered +2\nlost +0\nout of order +0\n/)
  assert.match(stdout, /\nduplicates recognized +1\n/)
  const [core] = FakeSender.opened.slice(-1)
  assert.deepEqual(
    core.messages.map(({ id }) => id),
    ['a', 'b', 'a'],
  )
  assert.deepEqual(JSON.parse(core.messages[1].body), { id: 'b', seq: 1, type: 'Text', direction: 'Inbound', from: {}, text: 'two' })
  assert.deepEqual(core.settings.rateLimit, { requests: 100, perMs: 1000 })
  assert.equal(core.settings.apiUrl, server.url)
  const { quota, retryAfter, latencyMs } = server.config
  assert.deepEqual(
    { quota, retryAfter, latencyMs },
    {
      quota: { requests: 100, perMs: 1000, algorithm: 'fixed-window' },
      retryAfter: 'zero',
      latencyMs: { min: 20, max: 60 },
    },
  )
})

test('a lost message fails the demo', async (t) => {
  DeliveringSender.losing.add('b')
  const { code, stdout } = await cli(['demo', '--json', '--speed', '10', '--file', scratch(t)('peak.jsonl', peak)])
  assert.equal(code, 1)
  const [run] = JSON.parse(stdout).runs
  assert.deepEqual([run.unique, run.delivered, run.lost, run.idealMs], [2, 1, 1, 8])
  assert.equal(server.config.quota.requests, 1000)
})

test('--compare puts the hand-rolled way beside it', async (t) => {
  FakeSimulator.respond = (n) => (n === 1 ? 429 : 202)
  const startedAt = performance.now()
  const { code, stdout } = await cli(['demo', '--compare', '--file', scratch(t)('peak.jsonl', peak)])
  assert.equal(code, 0)
  assertSeconds(stdout, /\nhand-rolled {2}(\d+\.\d) s {2}3\/3 {2}\d+\/s {2}in flight 0\n/, startedAt)
  assert.match(stdout, /\n {20,}Spillway +hand-rolled\n/)
  assert.match(stdout, /\nlost +0 +0\n/)
  assert.match(stdout, /\ndelivered twice +0 +1\n/)
  assert.match(stdout, /\nanswers of 429 +0 +1\n/)
})

test('Ctrl-C ends the demo cleanly', async (t) => {
  DeliveringSender.holding = true
  const opened = FakeSender.opened.length
  const begin = async ({ signals }) => {
    await until(() => FakeSender.opened.at(opened)?.messages.length > 0)
    signals.emit('SIGINT')
  }
  const { code, stderr, listeners } = await cli(['demo', '--file', scratch(t)('peak.jsonl', peak)], { begin })
  assert.deepEqual([code, stderr, listeners], [130, 'interrupted: 0 of 2 delivered\n', 0])
  assert.equal(FakeSender.opened.at(-1).op('close').length, 1)
})

test('the hand-rolled way retries what services retry, and gives up', async () => {
  const credentials = { clientId: 'id', clientSecret: 'secret' }
  for (const [statuses, delivered, tries] of [
    [[202], true, 1],
    [[503, 0, 202], true, 3],
    [[400], false, 1],
    [[501], false, 1],
  ]) {
    FakeSimulator.respond = (n) => statuses[n - 1]
    await FakeSimulator.start('{}')
    const client = new HandRolled(server.url, credentials, new AbortController().signal)
    assert.equal(await client.send('c/d', { id: 'a' }), delivered)
    assert.equal(server.counts.arrivals, tries)
    await server.close()
  }
  const aborted = new HandRolled('http://127.0.0.1:1', credentials, AbortSignal.abort())
  assert.equal(await aborted.send('c', {}), false)
  assert.equal(aborted.tries, 0)
})

test('simulate prints its URL, and after Ctrl-C the ledger', async (t) => {
  const config = scratch(t)('config.json', { retryAfter: 'zero', quota: null })
  const args = ['simulate', '--quota', '100/1s', '--quota', '300/1m', '--port', '0', '--host', '127.0.0.1', '--config', config]
  const begin = async ({ signals, written }) => {
    await until(() => written.stdout.includes('\n'))
    signals.emit('SIGTERM')
  }
  const { code, stdout, listeners } = await cli(args, { begin })
  assert.deepEqual([code, listeners], [0, 0])
  assert.match(stdout, /^simulator at http:\/\/127\.0\.0\.1:\d+ \(Ctrl-C ends it\)\n\nrequests that arrived +0\n/)
  assert.deepEqual(server.config, {
    retryAfter: 'zero',
    port: 0,
    host: '127.0.0.1',
    quota: [
      { requests: 100, perMs: 1000 },
      { requests: 300, perMs: 60_000 },
    ],
  })
  const json = (await cli(['simulate', '--json'], { begin })).stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual([Object.keys(json[0]), json[1].ledger.arrivals], [['url'], 0])

  const refused = await cli(['simulate', '--port', '1', '--quota', '1/1s'])
  assert.deepEqual([refused.code, refused.listeners], [2, 0])
  assert.match(refused.stderr, /^spillway simulate: port must be free/)
})

test('on a terminal the bar is painted over, and no wider than the terminal', () => {
  let text = ''
  const startedAt = performance.now()
  const stream = { isTTY: true, columns: 60, write: (chunk) => (text += chunk) }
  const progress = new Progress(new Output(stream), 'x', () => ({ settled: 5, total: 10, budget: 1, queued: 5, note: 'paused (reset)' }))
  progress.note('hello')
  progress.stop()
  assertSeconds(text, /^\r\x1b\[2Khello\n\r\x1b\[2Kx {2}\[#{12}-{12}\] {2}(\d\.\d) s {2}5\/10/, startedAt)
  assert.ok(text.split('\r\x1b[2K').at(-1).trimEnd().length < 60)
})

test('quantiles and tables', () => {
  const values = Array.from({ length: 100 }, (_, i) => i + 1)
  assert.deepEqual(
    [0.5, 0.99, 1].map((share) => quantile(values, share)),
    [50, 99, 100],
  )
  assert.equal(quantile([], 0.5), 0)
  assert.equal(
    table([
      ['a', 'bcd'],
      ['ef', 'g'],
    ]),
    'a    bcd\nef   g\n',
  )
})
