'use strict'

const { performance } = require('node:perf_hooks')
// Captured at load: a test's fake timers must not hold the page back.
const { clearTimeout, setTimeout } = require('node:timers')

const { about } = require('../about.js')
const { invalid } = require('../checks.js')
const { outside } = require('../context.js')
const { IS_OPEN } = require('../raw.js')
const { Organization } = require('./organization.js')

/** At most 4 readings a second for open pages; without one, a reading a second for the history. */
const WATCHED_MS = 250
const UNWATCHED_MS = 1_000
const LONGEST_MS = 5_000
/** Of a core: readings take longer with more organizations, and then are further apart. */
const WATCHED_SHARE = 0.01
const UNWATCHED_SHARE = 0.0025
/** The shortest of so many readings says what one takes: others may have had the processor during the rest. */
const READINGS = 5
const DETAIL_MS = 1_000

/**
 * Reads all organizations by the clock, once for however many pages. Only this reads, so that pages cost next to nothing.
 * `list()` gives the senders.
 */
class Watch {
  #list
  #organizations = new Map()
  #details = new Map()
  #pages = new Set()
  #timer = null
  #tick = 0
  #took = []
  #isEnded = false
  #warned = null

  constructor(list) {
    this.#list = list
    this.#refresh()
    this.#read()
    outside(() => this.#schedule())
  }

  get tick() {
    return this.#tick
  }

  get organizations() {
    return this.#organizations
  }

  /** `page.tell(watch)` is called after each reading, until it is removed. */
  add(page) {
    const isFirst = this.#pages.size === 0
    this.#pages.add(page)
    if (isFirst) {
      // The last reading may be a second old, and made no rows.
      clearTimeout(this.#timer)
      this.#step()
    } else page.tell(this)
  }

  remove(page) {
    this.#pages.delete(page)
  }

  /** `{ version, text }`: the last detail of an organization, which one page asks for and all share; null before the first. */
  detailOf(name) {
    const detail = this.#details.get(name) ?? { version: 0, text: null, askedAt: Number.NEGATIVE_INFINITY, isAsked: false }
    this.#details.set(name, detail)
    const now = performance.now()
    const organization = this.#organizations.get(name)
    if (organization !== undefined && !detail.isAsked && now - detail.askedAt >= DETAIL_MS) {
      detail.isAsked = true
      detail.askedAt = now
      this.#ask(organization, detail)
    }
    return detail.text === null ? null : detail
  }

  end() {
    this.#isEnded = true
    clearTimeout(this.#timer)
    for (const page of this.#pages) page.end()
  }

  async #ask(organization, detail) {
    try {
      const text = JSON.stringify(await organization.detail())
      if (text !== detail.text) Object.assign(detail, { text, version: detail.version + 1 })
    } catch {
      // Closed meanwhile; its row says so.
    } finally {
      detail.isAsked = false
    }
  }

  #schedule() {
    if (this.#isEnded) return
    const [least, share] = this.#pages.size > 0 ? [WATCHED_MS, WATCHED_SHARE] : [UNWATCHED_MS, UNWATCHED_SHARE]
    const tookMs = this.#took.length === 0 ? 0 : Math.min(...this.#took)
    const delay = Math.min(LONGEST_MS, Math.max(least, tookMs / share))
    // Watching alone is no reason to keep the process alive.
    this.#timer = setTimeout(this.#step, delay).unref()
  }

  #step = () => {
    const startedAt = performance.now()
    try {
      this.#refresh()
      this.#read()
      for (const page of this.#pages) page.tell(this)
    } catch (error) {
      this.#warn(error)
    }
    if (this.#pages.size === 0) this.#details.clear()
    this.#took = [...this.#took.slice(1 - READINGS), performance.now() - startedAt]
    this.#schedule()
  }

  // What a caller's list throws is no reason to end the service, nor to tell it four times a second.
  #warn({ message }) {
    if (message !== this.#warned) process.emitWarning(`the dashboard could not read: ${message}`, { code: 'SPILLWAY_DASHBOARD' })
    this.#warned = message
  }

  /** One sender for each organization: the first that is open. */
  #refresh() {
    const senders = new Map()
    for (const sender of this.#list()) {
      const name = about(sender)?.organization
      if (name === undefined) throw invalid('senders', 'senders of this package', sender)
      if (!senders.has(name) || !senders.get(name)[IS_OPEN]) senders.set(name, sender)
    }
    for (const [name, sender] of senders) {
      const known = this.#organizations.get(name)
      if (known === undefined) this.#organizations.set(name, new Organization(name, sender))
      else known.sender = sender
    }
    for (const name of this.#organizations.keys()) if (!senders.has(name)) this.#organizations.delete(name)
  }

  #read() {
    this.#tick++
    const now = Date.now()
    const isWatched = this.#pages.size > 0
    for (const organization of this.#organizations.values()) organization.read(now, this.#tick, isWatched)
  }
}

module.exports = { Watch }
