'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { Sender } = require('../../index.js')
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

test('what is no sender is refused by its place', () => {
  assert.throws(() => Sender.metrics([{ stats: () => ({}) }]), { name: 'TypeError', message: /senders\[0\]/ })
})
