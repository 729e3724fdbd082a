'use strict'

// The main job, end to end: a peak hour of web chat through one sender to a server with a quota and faults.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { before, test } = require('node:test')

const { collect, open, ROOT, simulate } = require('./support.js')

const CONNECTIONS_MAX = 64
const LIMIT_MS = 120_000

/** The shared peak hour where there is one; else the example that comes with the package. */
function readPeak() {
  const shared = path.join(ROOT, '../shared/data/webchat-peak.jsonl')
  const [file, rows, unique] = fs.existsSync(shared)
    ? [shared, 10_040, 10_000]
    : [path.join(ROOT, 'examples/webchat-peak.jsonl'), 2_400, 2_388]
  const messages = fs
    .readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => {
      const row = JSON.parse(line)
      return { id: row.id, conversationId: row.conversationId, body: row }
    })
  const ids = new Set(messages.map(({ id }) => id))
  assert.deepEqual([messages.length, ids.size], [rows, unique], file)
  return { messages, ids, duplicates: rows - unique }
}

let peak

before(() => {
  peak = readPeak()
})

test('every id is delivered once, in order, at the quota, whatever fails on the way', { timeout: LIMIT_MS }, async (t) => {
  const quota = { requests: 1_000, perMs: 1_000 }
  const simulator = await simulate(t, {
    quota: { ...quota, algorithm: 'sliding-log' },
    faults: { status503: 0.02, cutBefore: 0.01 },
    tokenLifeMs: 5_000,
  })
  const sender = await open(t, simulator, { rateLimit: quota, connections: { max: CONNECTIONS_MAX } })
  const receipts = await Promise.all(peak.messages.map((message) => sender.send(message)))

  receipts.forEach(({ id, conversationId, status }, index) => {
    const sent = peak.messages[index]
    assert.deepEqual([id, conversationId, status], [sent.id, sent.conversationId, 200])
  })
  const { counters, queue } = sender.stats()
  assert.deepEqual(
    [counters.accepted, counters.delivered, counters.duplicates, counters.deadLetters, queue.messages],
    [peak.ids.size, peak.ids.size, peak.duplicates, 0, 0],
  )

  const { ids, ...ledger } = simulator.ledger({ ids: true })
  assert.deepEqual(new Set(Object.keys(ids)), peak.ids)
  assert.deepEqual(
    Object.entries(ids).filter(([, count]) => count !== 1),
    [],
  )
  assert.equal(ledger.orderViolations, 0)
  assert.equal(ledger.maxInFlightPerConversation, 1)
  assert.ok(ledger.mostInWindow <= quota.requests, `mostInWindow ${ledger.mostInWindow}`)
  assert.equal(ledger.refused, 0)
  assert.ok(ledger.statuses[503] > 0 && ledger.cutsBefore > 0, 'the faults came')

  const span = (ledger.lastAcceptedMs - ledger.firstArrivalMs) / 1_000
  t.diagnostic(
    `${ledger.arrivals} arrivals in ${span.toFixed(1)} s, ${ledger.connectionsOpened} connections, at most ` +
      `${ledger.connectionsOpenMax} at once; ${ledger.cutsBefore} cuts, ${ledger.statuses[503]} times 503, ` +
      `${ledger.tokensIssued} tokens, ${ledger.statuses[401] ?? 0} times 401`,
  )
  // One more for the login host, which is the same here: it closes with each token. A cut connection has to be replaced.
  assert.ok(ledger.connectionsOpenMax <= CONNECTIONS_MAX + 1, `connectionsOpenMax ${ledger.connectionsOpenMax}`)
  const opened = CONNECTIONS_MAX + ledger.tokensIssued + ledger.cutsBefore
  assert.ok(ledger.connectionsOpened <= opened, `opened ${ledger.connectionsOpened}`)
  assert.ok(ledger.tokensIssued >= Math.floor(span / 5), `tokensIssued ${ledger.tokensIssued}`)
})

// Five times as fast: what is proved here doesn't depend on the rate.
const FAST = { requests: 1_000, perMs: 200 }

test("answers cut after acceptance, ambiguous 'fail': nothing twice, each one named", { timeout: LIMIT_MS }, async (t) => {
  const simulator = await simulate(t, { quota: { ...FAST, algorithm: 'sliding-log' }, faults: { cutAfter: 0.01 } })
  const sender = await open(t, simulator, { rateLimit: FAST, retry: { ambiguous: 'fail' } })
  const outcomes = await Promise.allSettled(peak.messages.map((message) => sender.send(message)))

  const ledger = simulator.ledger({ ids: true })
  assert.ok(ledger.cutsAfter > 0, 'the faults came')
  assert.equal(ledger.duplicates, 0)
  assert.equal(ledger.uniqueIds, peak.ids.size)
  assert.equal(ledger.orderViolations, 0)

  const failed = new Set()
  outcomes.forEach(({ reason }, index) => {
    if (reason === undefined) return
    const { id } = peak.messages[index]
    assert.deepEqual([reason.name, reason.code, reason.ambiguous, reason.messageId], ['DeliveryError', 'DELIVERY_AMBIGUOUS', true, id])
    failed.add(id)
  })
  assert.deepEqual(failed, new Set(Object.keys(ledger.cutIds)))
  const letters = await collect(sender.deadLetters())
  assert.deepEqual(new Set(letters.map(({ id }) => id)), failed)
  assert.equal(letters.length, ledger.cutsAfter)
  assert.ok(letters.every(({ ambiguous, reason, attempts }) => ambiguous && reason === 'ambiguous' && attempts === 1))
})

test("answers cut after acceptance, ambiguous 'retry': all delivered, twice only what was cut", { timeout: LIMIT_MS }, async (t) => {
  const simulator = await simulate(t, { quota: { ...FAST, algorithm: 'sliding-log' }, faults: { cutAfter: 0.01 } })
  const sender = await open(t, simulator, { rateLimit: FAST, retry: { ambiguous: 'retry' } })
  const receipts = await Promise.all(peak.messages.map((message) => sender.send(message)))
  assert.ok(receipts.every(({ status }) => status === 200))

  const ledger = simulator.ledger({ ids: true })
  assert.ok(ledger.cutsAfter > 0, 'the faults came')
  assert.deepEqual(new Set(Object.keys(ledger.ids)), peak.ids)
  assert.ok(ledger.duplicates <= ledger.cutsAfter, `${ledger.duplicates} duplicates, ${ledger.cutsAfter} cuts`)
  for (const [id, count] of Object.entries(ledger.ids)) {
    assert.equal(count, 1 + (ledger.cutIds[id] ?? 0), id)
  }
  assert.equal(ledger.orderViolations, 0)
  assert.equal(ledger.maxInFlightPerConversation, 1)
})

test('there are no more connections than connections.max, though many break', { timeout: LIMIT_MS }, async (t) => {
  for (const [max, latencyMs] of [
    [1, 0],
    [4, 0],
    [8, { min: 0, max: 10 }],
    [64, 0],
    [64, { min: 0, max: 10 }],
  ]) {
    const simulator = await simulate(t, { latencyMs, faults: { cutBefore: 0.03 } })
    const sender = await open(t, simulator, { connections: { max }, retry: { maxAttempts: 1_000 } })
    const messages = peak.messages.slice(0, 1_500)
    await Promise.all(messages.map((message) => sender.send(message)))
    const { connectionsOpenMax, connectionsOpened, cutsBefore } = simulator.ledger()
    // One more for the login host, which is the same here.
    assert.ok(connectionsOpenMax <= max + 1, `${connectionsOpenMax} at once of ${max}`)
    assert.ok(connectionsOpened <= max + 1 + cutsBefore, `${connectionsOpened} for ${max} and ${cutsBefore} cuts`)
  }
})
