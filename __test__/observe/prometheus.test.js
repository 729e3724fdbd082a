'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { Sender } = require('../../index.js')
const { prometheusText } = require('../../lib/prometheus.js')
const { message, open, simulate, until } = require('../http/support.js')
const { parseExposition } = require('./exposition.js')

const value = (families, name, labels = {}) => {
  const found = families.get(name)?.samples.find((sample) => Object.entries(labels).every(([key, wanted]) => sample.labels[key] === wanted))
  return found?.value
}

test('what a sender did, as a Prometheus server reads it', async (t) => {
  const simulator = await simulate(t, { quota: { requests: 1_000, perMs: 1_000 }, poisonText: 'poison' })
  const sender = await open(t, simulator, {
    rateLimit: [
      { requests: 100, perMs: 1_000 },
      { requests: 3_000, perMs: 60_000 },
    ],
  })
  await Promise.all([1, 2, 3].map((n) => sender.send(message(`m${n}`))))
  await sender.send({ conversationId: 'c', body: { text: 'poison' } }).catch(() => {})
  // The engine publishes its numbers after it has told of the end.
  await until(() => sender.stats().counters.deadLetters === 1)

  const text = sender.metrics()
  const stats = sender.stats()
  const families = parseExposition(text)
  for (const { samples } of families.values()) {
    for (const { labels } of samples) assert.equal(labels.organization, stats.organization)
  }
  assert.equal(value(families, 'spillway_messages_accepted_total'), 4)
  assert.equal(value(families, 'spillway_messages_delivered_total'), 3)
  assert.equal(value(families, 'spillway_messages_dead_letter_total'), 1)
  assert.equal(value(families, 'spillway_requests_total'), stats.counters.requests)
  assert.equal(value(families, 'spillway_queue_messages'), 0)
  assert.equal(value(families, 'spillway_dead_letters'), 1)
  assert.equal(value(families, 'spillway_quota_requests', { window_seconds: '1' }), 100)
  assert.equal(value(families, 'spillway_quota_requests', { window_seconds: '60' }), 3_000)
  assert.equal(value(families, 'spillway_paused'), 0)
  assert.equal(value(families, 'spillway_outage', { reason: 'breaker' }), 0)
  assert.equal(families.get('spillway_message_total_seconds').type, 'summary')
  const p99 = value(families, 'spillway_message_total_seconds', { quantile: '0.99' })
  assert.equal(p99, stats.latencies.totalMs.p99 / 1_000)
  assert.equal(families.get('spillway_message_total_seconds').samples.at(-1).value, 3)
})

test('a pause is told in seconds', async (t) => {
  const simulator = await simulate(t, { quota: { requests: 1, perMs: 60_000 } })
  const sender = await open(t, simulator)
  await sender.send(message('first'))
  sender.send(message('second')).catch(() => {})
  await until(() => sender.stats().pause !== null)
  const families = parseExposition(sender.metrics())
  assert.equal(value(families, 'spillway_paused'), 1)
  const remaining = value(families, 'spillway_pause_remaining_seconds')
  assert.ok(remaining > 0 && remaining <= 61, `${remaining} s`)
  assert.equal(value(families, 'spillway_requests_throttled_total'), 1)
})

test('an organization of any name is one label', async (t) => {
  const simulator = await simulate(t)
  for (const name of ['quote " and \\', '\\n', '{a="b"}', 'Bäckerei 日本 😀']) {
    const organization = `${name} ${process.pid}`
    const sender = await open(t, simulator, { organization })
    for (const { samples } of parseExposition(sender.metrics()).values()) {
      for (const { labels } of samples) assert.equal(labels.organization, organization)
    }
  }
})

test('a label with a line break stays one line', () => {
  // No organization has one today; the escape doesn't rely on it.
  const families = parseExposition(prometheusText([{ organization: 'a\n"b', queue: { messages: 1 } }]))
  assert.equal(families.get('spillway_queue_messages').samples[0].labels.organization, 'a\n"b')
})

test('several organizations make one exposition, senders of one organization one set of series', async (t) => {
  const simulator = await simulate(t)
  const a = await open(t, simulator)
  const b = await open(t, simulator)
  const shared = await open(t, simulator, { organization: a.stats().organization })
  const families = parseExposition(Sender.metrics([a, b, shared]))
  const organizations = families.get('spillway_requests_total').samples.map(({ labels }) => labels.organization)
  assert.deepEqual(organizations.sort(), [a, b].map((sender) => sender.stats().organization).sort())
  assert.equal(Sender.metrics([]), '\n')
})

test('quantiles of nothing are NaN, and what nobody knows is absent', () => {
  const none = { p50: 0, p99: 0, max: 0, count: 0 }
  const families = parseExposition(
    prometheusText([
      {
        organization: 'o',
        latencies: { queuedMs: none, requestMs: none, totalMs: none },
        budget: { available: 0, nextInMs: null },
        pause: { reason: 'backoff', untilMs: null, remainingMs: null },
      },
    ]),
  )
  assert.deepEqual(
    families.get('spillway_message_total_seconds').samples.map((sample) => sample.value),
    [NaN, NaN, NaN, 0],
  )
  assert.equal(families.has('spillway_budget_next_seconds'), false)
  assert.equal(families.has('spillway_pause_remaining_seconds'), false)
  assert.equal(families.has('spillway_messages_accepted_total'), false)
  assert.equal(value(families, 'spillway_paused'), 1)
})

test('the parser of these tests refuses what is no exposition', () => {
  const head = '# HELP a_total A.\n# TYPE a_total counter\n'
  for (const text of [
    `${head}a_total{b="c}"} 1`,
    `${head}a_total{b="\\x"} 1\n`,
    `${head}a_total x\n`,
    `${head}b_total 1\n`,
    `${head}a_total 1\na_total 1\n`,
    `${head}${head}`,
    '# HELP a A.\n# TYPE a counter\na 1\n',
    `${head}a_total{b="c"d="e"} 1\n`,
  ]) {
    assert.throws(() => parseExposition(text), text)
  }
})

test('an outage of the store is one, and what its file could give back is counted', () => {
  const store = { recovered: 7, unreadable: 2, setAside: null, problem: { code: 'STORE_FULL', message: 'the disk is full' } }
  const read = (store, outage = null) => parseExposition(prometheusText([{ organization: 'o', outage, store }]))
  const outages = (families) => ['auth', 'breaker', 'refused', 'store'].map((reason) => value(families, 'spillway_outage', { reason }))
  const full = read(store)
  assert.deepEqual(outages(full), [0, 0, 0, 1])
  assert.equal(value(full, 'spillway_messages_recovered_total'), 7)
  assert.equal(value(full, 'spillway_messages_unreadable_total'), 2)
  assert.equal(value(full, 'spillway_store_set_aside'), 0)

  const mended = read({ ...store, setAside: '/data/outbox.db.corrupt-1', problem: null }, { reason: 'breaker', sinceMs: 1 })
  assert.deepEqual(outages(mended), [0, 1, 0, 0])
  assert.equal(value(mended, 'spillway_store_set_aside'), 1)

  const memory = read(null)
  assert.deepEqual(outages(memory), [0, 0, 0, 0])
  for (const name of ['spillway_messages_recovered_total', 'spillway_messages_unreadable_total', 'spillway_store_set_aside']) {
    assert.equal(memory.has(name), false, name)
  }
})
