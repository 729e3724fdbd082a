'use strict'

const { performance } = require('node:perf_hooks')

const REPAINT_MS = 100
const LINE_MS = 1000
const BAR_CHARS = 24
/** The rate is that of about the last second: a longer view would hide a pause. */
const RATE_WINDOW_MS = 1000

/**
 * Shows how far a run is: a bar where the stream is a terminal, a plain line every second elsewhere. `read()` gives
 * `{ settled, total, share?, inFlight?, budget?, queued?, note? }`; a total of null is one that isn't known yet, and `share` is how full the
 * bar is where that is another question.
 */
class Progress {
  #stream
  #label
  #read
  #timer
  #startedAt = performance.now()
  #samples = []

  constructor(stream, label, read) {
    this.#stream = stream
    this.#label = label
    this.#read = read
    // Watching alone is no reason to keep the process alive.
    this.#timer = setInterval(() => this.#show(), stream.isTTY ? REPAINT_MS : LINE_MS).unref()
  }

  /** A message of its own, above the bar. */
  note(text) {
    if (this.#stream.isTTY) this.#stream.rewrite(`${text}\n`)
    else this.#stream.write(`${text}\n`)
  }

  stop() {
    if (this.#timer === null) return
    clearInterval(this.#timer)
    this.#timer = null
    this.#show()
    if (this.#stream.isTTY) this.#stream.write('\n')
  }

  #show() {
    const reading = this.#read()
    const fields = this.#fields(reading)
    if (!this.#stream.isTTY) {
      this.#stream.write(`${this.#label}  ${fields}\n`)
      return
    }
    const line = `${this.#label}  ${bar(reading)}${fields}`
    // A line that wraps can't be painted over.
    this.#stream.rewrite(line.slice(0, this.#stream.columns - 1))
  }

  #fields({ settled, total, inFlight, budget, queued, note }) {
    const elapsedMs = performance.now() - this.#startedAt
    const fields = [
      `${(elapsedMs / 1000).toFixed(1)} s`,
      total === null ? `${settled}` : `${settled}/${total}`,
      `${this.#rate(elapsedMs, settled)}/s`,
    ]
    if (budget !== undefined) fields.push(`budget ${budget}`)
    if (queued !== undefined) fields.push(`queued ${queued}`)
    if (inFlight !== undefined) fields.push(`in flight ${inFlight}`)
    if (note) fields.push(note)
    return fields.join('  ')
  }

  #rate(elapsedMs, settled) {
    this.#samples.push({ elapsedMs, settled })
    while (this.#samples.length > 2 && this.#samples[1].elapsedMs <= elapsedMs - RATE_WINDOW_MS) this.#samples.shift()
    const first = this.#samples[0]
    const spanMs = elapsedMs - first.elapsedMs
    // The first reading has nothing before it but the start.
    if (spanMs === 0) return Math.round((settled * 1000) / Math.max(elapsedMs, 1))
    return Math.round(((settled - first.settled) * 1000) / spanMs)
  }
}

function bar({ settled, total, share = total ? settled / total : null }) {
  if (share === null) return ''
  const full = Math.round(Math.min(share, 1) * BAR_CHARS)
  return `[${'#'.repeat(full)}${'-'.repeat(BAR_CHARS - full)}]  `
}

/** What the engine of a sender says about itself, for a progress line. */
function engineReading(stats) {
  const { queue, budget, pause, outage } = stats
  const paused = pause ? `paused (${pause.reason})` : ''
  return {
    budget: budget.available,
    queued: queue.messages + queue.waiting,
    note: outage ? `outage (${outage.reason})` : paused,
  }
}

/** In place of a Progress where nobody watches. */
const NO_PROGRESS = { note() {}, stop() {} }

module.exports = { engineReading, NO_PROGRESS, Progress }
