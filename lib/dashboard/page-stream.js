'use strict'

const { performance } = require('node:perf_hooks')

const { HEADERS } = require('./answer.js')
const { version } = require('./assets.js')

/** A page that reads nothing for so long is let go; it connects again. */
const SLOWEST_MS = 30_000
/** Something is said at least this often, so that a page notices a connection that is gone. */
const SILENCE_MS = 5_000
const RETRY_MS = 1_000

/**
 * An open page: server-sent events of what has changed since the last one. A page that reads slowly is not written to until it has
 * caught up, and then gets the state of that moment: nothing is queued for it.
 */
class PageStream {
  #response
  #access
  #detailOf
  #onEnd
  #toldAt = 0
  #toldNames = new Set()
  #detailVersion = 0
  #sampledAt = 0
  #saidAt = Number.NEGATIVE_INFINITY
  #blockedSince = null
  #isEnded = false

  /** `organization`: the one that the page shows in detail, or null. `instance`: a page that meets another one begins afresh. */
  constructor(response, { access, organization, instance, onEnd }) {
    this.#response = response
    this.#access = access
    this.#detailOf = organization
    this.#onEnd = onEnd
    response.writeHead(200, {
      ...HEADERS,
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      // Proxies that collect an answer before they pass it on.
      'x-accel-buffering': 'no',
    })
    response.on('drain', () => {
      this.#blockedSince = null
    })
    response.on('close', () => this.end())
    response.on('error', () => this.end())
    this.#say('hello', `{"instance":"${instance}","version":"${version()}"}`, `retry: ${RETRY_MS}\n`)
  }

  tell(watch) {
    if (this.#isEnded) return
    const now = performance.now()
    if (this.#blockedSince !== null) {
      if (now - this.#blockedSince > SLOWEST_MS) this.#response.destroy()
      return
    }
    this.#tellRows(watch, now)
    if (this.#detailOf !== null && this.#access.sees(this.#detailOf)) this.#tellDetail(watch)
  }

  end() {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#response.end()
    this.#onEnd(this)
  }

  #tellRows({ organizations, tick }, now) {
    const seen = [...organizations.values()].filter(({ name }) => this.#access.sees(name))
    const changed = seen.filter(({ changedAt, name }) => changedAt > this.#toldAt || !this.#toldNames.has(name))
    const names = new Set(seen.map(({ name }) => name))
    const gone = [...this.#toldNames].filter((name) => !names.has(name))
    const isFirst = this.#toldAt === 0
    this.#toldAt = tick
    this.#toldNames = names
    if (changed.length === 0 && gone.length === 0 && !isFirst && now - this.#saidAt < SILENCE_MS) return
    const rows = changed.map(({ row }) => row).join()
    this.#say('rows', `{"now":${Date.now()},"gone":${JSON.stringify(gone)},"rows":[${rows}]}`)
  }

  #tellDetail(watch) {
    const organization = watch.organizations.get(this.#detailOf)
    if (organization === undefined) return
    const { history } = organization
    const last = history.last
    if (this.#sampledAt === 0) this.#say('history', JSON.stringify(history.data))
    else if (last !== null && last[0] > this.#sampledAt) this.#say('sample', JSON.stringify(last))
    this.#sampledAt = last?.[0] ?? 0
    const detail = watch.detailOf(this.#detailOf)
    if (detail === null || detail.version === this.#detailVersion) return
    this.#detailVersion = detail.version
    this.#say('detail', detail.text)
  }

  #say(event, data, before = '') {
    this.#saidAt = performance.now()
    if (!this.#response.write(`${before}event: ${event}\ndata: ${data}\n\n`)) this.#blockedSince ??= performance.now()
  }
}

module.exports = { PageStream }
