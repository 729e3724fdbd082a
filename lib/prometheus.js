'use strict'

// Prometheus' text exposition format, version 0.0.4. Only numbers of `stats()` get in: no id, no text, no secret.

const QUANTILES = [
  ['0.5', 'p50'],
  ['0.99', 'p99'],
  ['1', 'max'],
]

const seconds = (ms) => (typeof ms === 'number' ? ms / 1_000 : ms)
const flag = (value) => (value ? 1 : 0)
/** No labels but the organization. */
const NONE = {}
/** One sample without further labels. */
const one = (read) => (stats) => [[NONE, read(stats)]]

const FAMILIES = [
  counter('spillway_messages_accepted_total', 'Messages that entered the outbox.', (s) => s.counters?.accepted),
  counter('spillway_messages_duplicate_total', 'Messages whose id was known already.', (s) => s.counters?.duplicates),
  counter('spillway_messages_delivered_total', 'Messages that ended as a receipt.', (s) => s.counters?.delivered),
  counter('spillway_messages_dead_letter_total', 'Messages that ended as a dead letter.', (s) => s.counters?.deadLetters),
  counter('spillway_dead_letters_dropped_total', 'Dead letters that were evicted.', (s) => s.counters?.deadLettersDropped),
  counter('spillway_requests_total', 'Requests sent to the API.', (s) => s.counters?.requests),
  counter('spillway_request_retries_total', 'Requests that repeated a failed one.', (s) => s.counters?.retries),
  counter('spillway_requests_throttled_total', 'Requests that were answered with 429.', (s) => s.counters?.throttled),
  counter('spillway_token_requests_total', 'Access tokens that were requested.', (s) => s.counters?.tokenRequests),

  gauge(
    'spillway_queue_messages',
    'Messages and requests in the outbox.',
    one((s) => s.queue?.messages),
  ),
  gauge(
    'spillway_queue_bytes',
    'Bytes of the bodies in the outbox.',
    one((s) => s.queue?.bytes),
  ),
  gauge(
    'spillway_queue_waiting_messages',
    'Messages that wait for room in the outbox.',
    one((s) => s.queue?.waiting),
  ),
  gauge(
    'spillway_queue_conversations',
    'Conversations with messages in the outbox.',
    one((s) => s.queue?.conversations),
  ),
  gauge(
    'spillway_requests_in_flight',
    'Requests on the wire.',
    one((s) => s.queue?.inFlight),
  ),
  gauge(
    'spillway_dead_letters',
    'Dead letters that are kept.',
    one((s) => s.queue?.deadLetters),
  ),
  gauge(
    'spillway_queue_refused_messages',
    'Refused messages that are tried again, since the refusal may be that of everybody.',
    one((s) => s.queue?.refused),
  ),

  gauge('spillway_quota_requests', 'Requests that the server allows in any rolling window of window_seconds.', (s) =>
    (s.quota?.windows ?? []).map(({ requests, perMs }) => [{ window_seconds: seconds(perMs), source: s.quota.source }, requests]),
  ),
  gauge(
    'spillway_budget_available_requests',
    'Requests that may leave now.',
    one((s) => s.budget?.available),
  ),
  gauge(
    'spillway_budget_next_seconds',
    'Time until the next request may leave.',
    one((s) => seconds(s.budget?.nextInMs)),
  ),
  gauge(
    'spillway_paused',
    '1 while nothing is sent because the server asked for a pause.',
    one((s) => flag(s.pause)),
  ),
  gauge(
    'spillway_pause_remaining_seconds',
    'What is left of the pause.',
    one((s) => (s.pause ? seconds(s.pause.remainingMs) : 0)),
  ),
  gauge('spillway_pauses', 'Pauses in force, by scope, route and the limit that the server named.', pausesOf),
  gauge('spillway_outage', '1 while nothing can be sent, by its reason.', (s) => [
    ...['auth', 'breaker', 'refused', 'token'].map((reason) => [{ reason }, flag(isOut(s, reason))]),
    [{ reason: 'store' }, flag(s.store?.problem)],
  ]),

  // Of a file store; there are none of an outbox in memory.
  counter('spillway_messages_recovered_total', 'Messages of an earlier run that went on in this one.', (s) => s.store?.recovered),
  counter('spillway_messages_unreadable_total', 'Messages that the file could not give back.', (s) => s.store?.unreadable),
  gauge(
    'spillway_store_set_aside',
    '1 if a damaged file was set aside since the start.',
    one((s) => s.store && flag(s.store.setAside)),
  ),

  summary('spillway_message_queued_seconds', 'From acceptance to the start of the request that delivered.', (s) => s.latencies?.queuedMs),
  summary('spillway_message_request_seconds', 'From the start of the request that delivered to its answer.', (s) => s.latencies?.requestMs),
  summary('spillway_message_total_seconds', 'From acceptance to the answer that delivered.', (s) => s.latencies?.totalMs),
]

/** Conversations are counted, not named: nobody wants a time series for each. */
function pausesOf({ pauses = [] }) {
  const counts = new Map()
  for (const { scope, route, namespace, key, value } of pauses) {
    const labels = { scope, route: route ?? '', namespace: namespace ?? '', key: key ?? '', value: value ?? '' }
    const name = JSON.stringify(labels)
    counts.set(name, [labels, (counts.get(name)?.[1] ?? 0) + 1])
  }
  return [...counts.values()]
}

// Two may hold at once: of these `outage` is the first.
function isOut({ outage, outages = [] }, reason) {
  return outage?.reason === reason || outages.some((one) => one.route === null && one.reason === reason)
}

function counter(name, help, read) {
  return { name, type: 'counter', help, samples: one(read) }
}

function gauge(name, help, samples) {
  return { name, type: 'gauge', help, samples }
}

// The quantiles are those of all values since the engine's start. There is no sum: the underlying histogram has none.
function summary(name, help, read) {
  return {
    name,
    type: 'summary',
    help,
    samples(stats) {
      const latency = read(stats)
      if (!latency) return []
      // A quantile of nothing is NaN, as with the official clients; 0 would draw a perfect service.
      const value = (field) => (latency.count === 0 ? NaN : seconds(latency[field]))
      return [...QUANTILES.map(([quantile, field]) => [{ quantile }, value(field)]), [NONE, latency.count, '_count']]
    },
  }
}

/**
 * The exposition of these readings, one per organization. A value that is unknown is left out. Plain loops: a process of a
 * thousand organizations has tens of thousands of samples.
 */
function prometheusText(readings) {
  const organizations = readings.map((stats) => `{organization="${escapeLabel(String(stats.organization))}"`)
  let text = ''
  for (const { name, type, help, samples } of FAMILIES) {
    let rows = ''
    for (let index = 0; index < readings.length; index++) {
      for (const [labels, value, suffix = ''] of samples(readings[index])) {
        if (typeof value !== 'number') continue
        rows += `${name}${suffix}${organizations[index]}${labelsText(labels)}} ${numberText(value)}\n`
      }
    }
    if (rows !== '') text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${rows}`
  }
  return text === '' ? '\n' : text
}

function labelsText(labels) {
  let text = ''
  if (labels !== NONE) for (const name of Object.keys(labels)) text += `,${name}="${escapeLabel(String(labels[name]))}"`
  return text
}

function escapeLabel(text) {
  return text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')
}

function numberText(value) {
  if (value === Infinity) return '+Inf'
  return value === -Infinity ? '-Inf' : String(value)
}

module.exports = { prometheusText }
