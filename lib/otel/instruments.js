'use strict'

const { outcomeOf, serverOf } = require('./attributes.js')

// The boundaries that the HTTP conventions advise, in seconds.
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

const GAUGES = [
  ['spillway.queue.messages', '{message}', 'Messages and requests in the outbox', (s) => s.queue?.messages],
  ['spillway.queue.bytes', 'By', 'Bytes of the bodies in the outbox', (s) => s.queue?.bytes],
  ['spillway.queue.waiting', '{message}', 'Messages that wait for room in the outbox', (s) => s.queue?.waiting],
  ['spillway.requests.in_flight', '{request}', 'Requests on the wire', (s) => s.queue?.inFlight],
  ['spillway.dead_letters', '{message}', 'Dead letters that are kept', (s) => s.queue?.deadLetters],
  ['spillway.queue.refused', '{message}', 'Refused messages that are tried again', (s) => s.queue?.refused],
  ['spillway.budget.available', '{request}', 'Requests that may leave now', (s) => s.budget?.available],
  ['spillway.pause.remaining', 's', 'What is left of the pause', (s) => (s.pause ? (s.pause.remainingMs ?? 0) / 1_000 : 0)],
]
/** Counted by what they hold for; conversations are not named. */
function pausesOf({ pauses = [] }) {
  const counts = new Map()
  for (const { scope, route, namespace, key, value } of pauses) {
    const known = Object.entries({ scope, route, 'limit.namespace': namespace, 'limit.key': key, 'limit.value': value })
    const attributes = Object.fromEntries(known.filter(([, one]) => one !== null).map(([name, one]) => [`spillway.pause.${name}`, one]))
    const name = JSON.stringify(attributes)
    counts.set(name, [attributes, (counts.get(name)?.[1] ?? 0) + 1])
  }
  return [...counts.values()]
}

const COUNTERS = [
  ['spillway.messages.accepted', '{message}', 'Messages that entered the outbox', (s) => s.counters?.accepted],
  ['spillway.messages.delivered', '{message}', 'Messages that ended as a receipt', (s) => s.counters?.delivered],
  ['spillway.messages.dead_letter', '{message}', 'Messages that ended as a dead letter', (s) => s.counters?.deadLetters],
  ['spillway.requests.throttled', '{request}', 'Requests that were answered with 429', (s) => s.counters?.throttled],
  ['spillway.requests.retries', '{request}', 'Requests that repeated a failed one', (s) => s.counters?.retries],
]

/** The metrics of one organization, read from a sender. `isMine()` tells whether no other sender measures the same. */
class Instruments {
  #meter
  #duration
  #server
  #isMine
  #observed = []
  #observe

  constructor(meter, sender, { organization, apiUrl }, isMine) {
    this.#meter = meter
    this.#server = serverOf(apiUrl)
    this.#isMine = isMine
    this.#duration = meter.createHistogram('http.client.request.duration', {
      unit: 's',
      description: 'Duration of HTTP client requests.',
      advice: { explicitBucketBoundaries: SECONDS },
    })
    const read = []
    for (const [kind, rows] of [
      ['createObservableGauge', GAUGES],
      ['createObservableCounter', COUNTERS],
    ]) {
      for (const [name, unit, description, value] of rows) {
        const instrument = meter[kind](name, { unit, description })
        this.#observed.push(instrument)
        read.push([instrument, value])
      }
    }
    const pauses = meter.createObservableGauge('spillway.pauses', { unit: '{pause}', description: 'Pauses in force' })
    this.#observed.push(pauses)
    // One reading for all of them: the numbers of one export belong together.
    this.#observe = (result) => {
      if (!isMine()) return
      const stats = sender.stats()
      for (const [instrument, value] of read) {
        const number = value(stats)
        if (typeof number === 'number') result.observe(instrument, number, { 'spillway.organization': organization })
      }
      for (const [attributes, count] of pausesOf(stats)) {
        result.observe(pauses, count, { 'spillway.organization': organization, ...attributes })
      }
    }
    meter.addBatchObservableCallback(this.#observe, this.#observed)
  }

  requestEnded(end) {
    if (!this.#isMine()) return
    this.#duration.record(end.tookMs / 1_000, { 'http.request.method': end.method, ...this.#server, ...outcomeOf(end) })
  }

  end() {
    this.#meter.removeBatchObservableCallback(this.#observe, this.#observed)
  }
}

module.exports = { Instruments }
