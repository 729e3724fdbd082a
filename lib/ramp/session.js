'use strict'

const { performance } = require('node:perf_hooks')
const { setTimeout: sleep } = require('node:timers/promises')

const { readRefusal, tellingHeaders, withoutSecrets } = require('./evidence.js')
const { startOf } = require('./grid.js')
const { Plateau } = require('./plateau.js')
const { search } = require('./search.js')

const TIMER_MAX_MS = 2 ** 31 - 1
const REFUSALS_MAX = 100
/** Lengths of windows that APIs use: what a refusal asks for tells which of them it is at least. */
const WINDOWS_MS = [1000, 10_000, 60_000, 3_600_000, 86_400_000]
/** Whole seconds are rounded up, and a clock may be a little off. */
const WAIT_SLACK_MS = 1500
const LIMITS_PATH = '/api/v2/organizations/limits/namespaces'

/** Carries a search out: real time, real requests, and the budgets. */
class Session {
  refusals = []
  sent = 0
  /** The most that a plateau was allowed. */
  reached = 0
  trialName = 'start'
  #client
  #requests
  #options
  #endsAt
  #originAt = null
  #quietSince = -Infinity
  #notBefore = -Infinity
  #current = null
  #limitsReadable = false
  #onStop = null

  /** `options`: `{ countMax, repeat, plateauMs, requestsMax, minutesMax, signal }`. */
  constructor(client, requests, options) {
    this.#client = client
    this.#requests = requests
    this.#options = options
    this.#endsAt = performance.now() + options.minutesMax * 60_000
    options.signal.addEventListener('abort', () => this.#stopNow('interrupted'), { once: true })
  }

  get inFlight() {
    return this.#current?.inFlight ?? 0
  }

  /** The organization's own list of limits, or null where it isn't allowed. It spends one request. */
  async readLimits() {
    const answer = await this.#client.send({ method: 'GET', path: LIMITS_PATH })
    this.sent++
    this.#limitsReadable = answer.status === 200
    if (!this.#limitsReadable) return { status: answer.status, entities: null }
    try {
      const { entities } = JSON.parse(answer.text)
      return { status: 200, entities: Array.isArray(entities) ? entities.slice(0, 1000) : null }
    } catch {
      return { status: 200, entities: null }
    }
  }

  /** Searches with this window; again with a longer one where a refusal asks for more than it. */
  async run(windowMs) {
    const earlier = []
    for (;;) {
      const seen = this.refusals.length
      const found = await this.#search(windowMs)
      const longer = found.ended === 'window' ? this.#longerWindow(windowMs, seen) : null
      const trials = [...earlier, ...found.trials]
      if (longer === null) return { ...found, trials, windowMs }
      earlier.push(...found.trials)
      windowMs = longer
      this.#originAt = null
    }
  }

  /** Resolves when a whole window has passed without a request, and what the last refusal asked for. */
  async settle(windowMs) {
    const untilMs = Math.max(this.#quietSince + windowMs, this.#notBefore) - performance.now()
    await sleep(Math.max(0, Math.ceil(untilMs)), undefined, { signal: this.#options.signal }).catch(() => {})
  }

  async #search(windowMs) {
    const { countMax, repeat } = this.#options
    const askWhose = this.#requests.hasOther && (this.#limitsReadable ? 'both' : true)
    const steps = search({ windowMs, repeat, countMax, askWhose })
    let step = steps.next()
    while (!step.done) {
      const seen = this.refusals.length
      const result = await this.#plateau(step.value, windowMs)
      if (this.#longerWindow(windowMs, seen) !== null) result.stopped = 'window'
      step = steps.next(result)
    }
    return step.value
  }

  #longerWindow(windowMs, from) {
    const asked = this.refusals.slice(from).map(({ waitMs, windowMs: named }) => Math.max((waitMs ?? 0) - WAIT_SLACK_MS, named ?? 0))
    const most = Math.max(0, ...asked)
    return most > windowMs ? (WINDOWS_MS.find((length) => length >= most) ?? null) : null
  }

  async #plateau(plan, windowMs) {
    const { plateauMs } = this.#options
    this.trialName = plan.name
    const now = performance.now()
    this.#originAt ??= now
    const startAt = plan.immediate
      ? now
      : startOf({
          originAt: this.#originAt,
          windowMs,
          quietSince: Math.max(this.#quietSince, now - windowMs, (this.#current?.startedAt ?? -Infinity) + plateauMs - windowMs),
          notBefore: this.#notBefore,
          phase: plan.phase,
        })
    const plateau = new Plateau(plan, startAt)
    plateau.startedAt = startAt
    this.#current = plateau
    if (startAt > this.#endsAt) plateau.stop('minutes')
    await new Promise((resolve) => this.#carry(plateau, plan, resolve))
    this.#quietSince = performance.now()
    this.reached = Math.max(this.reached, plateau.accepted)
    return { observations: plateau.observations, stopped: plateau.stopped, startAt }
  }

  #carry(plateau, plan, resolve) {
    let timer = null
    const end = () => {
      clearTimeout(timer)
      this.#onStop = null
      resolve()
    }
    const pump = () => {
      clearTimeout(timer)
      for (let now = performance.now(); plateau.dueAt !== null && plateau.dueAt <= now; now = performance.now()) {
        if (this.sent >= this.#options.requestsMax) plateau.stop('requests')
        else if (now > this.#endsAt) plateau.stop('minutes')
        else this.#send(plateau, plateau.take(now), pump)
      }
      if (plateau.isOver) end()
      else if (plateau.dueAt !== null) timer = setTimeout(pump, Math.min(TIMER_MAX_MS, plateau.dueAt - performance.now()))
    }
    this.#onStop = (reason) => {
      plateau.stop(reason)
      end()
    }
    if (this.#options.signal.aborted) this.#onStop('interrupted')
    else pump()
  }

  async #send(plateau, observation, pump) {
    if (observation === null) return
    this.sent++
    const isLimits = observation.other === 'limitsRoute'
    const request = isLimits ? { method: 'GET', path: LIMITS_PATH } : this.#requests.next({ other: observation.other === 'other' })
    observation.conversation = request.conversation ?? null
    const answer = await this.#client.send(request)
    const now = performance.now()
    if (answer.status === 429) this.#refused(answer, now)
    plateau.answered(observation, answer.status, now)
    pump()
  }

  #refused({ headers, text }, now) {
    const { waitMs, windowMs, limit } = readRefusal({ headers, text, receivedAtMs: Date.now() })
    this.#notBefore = Math.max(this.#notBefore, now + (waitMs ?? 0))
    if (this.refusals.length >= REFUSALS_MAX) return
    this.refusals.push({
      atMs: now - this.#originAt,
      trial: this.trialName,
      waitMs,
      windowMs,
      limit,
      correlationId: headers['inin-correlation-id'] ?? headers['x-request-id'] ?? null,
      headers: tellingHeaders(headers),
      body: withoutSecrets(text, this.#client.secrets),
    })
  }

  #stopNow(reason) {
    this.#onStop?.(reason)
    this.#client.close()
  }
}

module.exports = { Session }
