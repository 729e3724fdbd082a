'use strict'

/** What a sample holds. Counters count up since the engine's start: a rate is the difference of two samples, however far apart. */
const FIELDS = [
  'atMs',
  'accepted',
  'delivered',
  'requests',
  'throttled',
  'deadLetters',
  'messages',
  'inFlight',
  'available',
  'oldestMs',
  'p50Ms',
  'p99Ms',
  'quotaPerSecond',
]
const COLUMN = Object.fromEntries(FIELDS.map((field, index) => [field, index]))
/** Of these the most within the span counts: what rose and fell in between is to be seen. */
const PEAKS = ['messages', 'inFlight', 'oldestMs', 'p99Ms']
const FINE_MS = 1_000
const FINE_SAMPLES = 300
const COARSE_MS = 15_000
const COARSE_SAMPLES = 240
/** An hour of an organization: 5 minutes by the second, the rest by 15 seconds. */
const HISTORY_BYTES = (FINE_SAMPLES + COARSE_SAMPLES) * FIELDS.length * 8

/** The last samples, in memory that is taken once. */
class Ring {
  #values
  #size
  #length = 0
  #next = 0

  constructor(size) {
    this.#size = size
    this.#values = new Float64Array(size * FIELDS.length)
  }

  get length() {
    return this.#length
  }

  /** The value of a field of the sample `back` before the last one. */
  value(back, field) {
    return this.#values[this.#at(back) * FIELDS.length + COLUMN[field]]
  }

  add(sample) {
    FIELDS.forEach((field, index) => {
      this.#values[this.#next * FIELDS.length + index] = sample[field] ?? Number.NaN
    })
    this.#next = (this.#next + 1) % this.#size
    this.#length = Math.min(this.#length + 1, this.#size)
  }

  /** Raises the peaks of the last sample: everything else of it is of its own time. */
  raise(sample) {
    const at = this.#at(0) * FIELDS.length
    for (const field of PEAKS) {
      const before = this.#values[at + COLUMN[field]]
      if (!(before >= sample[field])) this.#values[at + COLUMN[field]] = sample[field] ?? before
    }
  }

  /** A row for each sample, the oldest first; what isn't known is null. */
  rows() {
    return Array.from({ length: this.#length }, (_, index) => {
      const at = this.#at(this.#length - 1 - index) * FIELDS.length
      return Array.from(this.#values.subarray(at, at + FIELDS.length), (value) => (Number.isNaN(value) ? null : value))
    })
  }

  #at(back) {
    return (this.#next - 1 - back + this.#size) % this.#size
  }
}

/** The last hour of an organization. */
class History {
  #fine = new Ring(FINE_SAMPLES)
  #coarse = new Ring(COARSE_SAMPLES)

  /** Whether the last sample is a second old. */
  isDue(atMs) {
    return this.#fine.length === 0 || atMs - this.#fine.value(0, 'atMs') >= FINE_MS
  }

  add(sample) {
    this.#fine.add(sample)
    const isNew = this.#coarse.length === 0 || sample.atMs - this.#coarse.value(0, 'atMs') >= COARSE_MS
    if (isNew) this.#coarse.add(sample)
    else this.#coarse.raise(sample)
  }

  /** How much a counter that stands at `value` now has grown per second, since about `spanMs` ago; null while there is no sample. */
  rate(counter, value, now, spanMs) {
    const { length } = this.#fine
    let back = 0
    while (back + 1 < length && now - this.#fine.value(back, 'atMs') < spanMs) back++
    if (length === 0 || now <= this.#fine.value(back, 'atMs')) return null
    return ((value - this.#fine.value(back, counter)) * 1_000) / (now - this.#fine.value(back, 'atMs'))
  }

  /** How much it has grown in the last minutes, as far back as there are samples by the second. */
  growth(counter, value) {
    const { length } = this.#fine
    return length === 0 ? 0 : value - this.#fine.value(length - 1, counter)
  }

  /** `{ fields, rows }`: by 15 seconds first, then by the second. */
  get data() {
    const fine = this.#fine.rows()
    const from = fine[0]?.[0] ?? 0
    return { fields: FIELDS, rows: [...this.#coarse.rows().filter(([atMs]) => atMs < from), ...fine] }
  }

  /** The last sample alone. */
  get last() {
    return this.#fine.length === 0 ? null : FIELDS.map((field) => known(this.#fine.value(0, field)))
  }
}

function known(value) {
  return Number.isNaN(value) ? null : value
}

module.exports = { COARSE_MS, FIELDS, History, HISTORY_BYTES }
