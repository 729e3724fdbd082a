'use strict'

// Captured at load: a test's fake timers must not hold completions back.
const { setImmediate } = require('node:timers')

const { version } = require('../package.json')
const { keepAbout } = require('./about.js')
const {
  checkForMs,
  checkId,
  checkLetterFilter,
  checkObject,
  checkPauseScope,
  checkResumeScope,
  checkSignal,
  checkTimeout,
  isObject,
} = require('./checks.js')
const { abortReason, Completions } = require('./completions.js')
const { inContext, outside } = require('./context.js')
const { describe } = require('./describe.js')
const { Diagnostics } = require('./diagnostics.js')
const { asyncDispose } = require('./dispose.js')
const { each, surface } = require('./each.js')
const { ContextEmitter } = require('./emitter.js')
const { ClosedError, errorFromThrown, SpillwayError } = require('./errors.js')
const { Frame, SETTLE_ON_ACCEPTANCE, SETTLE_ON_OUTCOME } = require('./frame.js')
const { native } = require('./load.js')
const { checkMessage } = require('./message.js')
const { parseOptions } = require('./options.js')
const { BACKLOG, BASE_URLS, IS_OPEN, RAW, VERSION } = require('./raw.js')
const { baseUrls } = require('./regions.js')
const { checkRequest } = require('./request.js')
const { NO_TICKET, Rows, settle, settleAccepted } = require('./rows.js')
const { Share } = require('./share.js')
const { tokenFrom } = require('./token.js')
const { settleTrust } = require('./trust.js')
const { Turns } = require('./turns.js')
const { wakerOf } = require('./waker.js')

const EVENTS = ['delivered', 'deadLetter', 'throttled', 'resumed', 'quota', 'outage', 'drain']
/** Told by this package itself, not by the engine. */
const OWN_EVENTS = ['operator']
const DEAD_LETTERS_PAGE = 100
const CLOSE_TIMEOUT_MS = 10_000
// A frame of this size crosses at once: the core starts on it while the tick goes on, and its bytes stay in the cache.
const FRAME_BYTES_MAX = 64 * 1024
// `queueMicrotask` makes an AsyncResource for each call, at several times the price.
const NOW = Promise.resolve()
// One takes a fraction of a millisecond.
const OPENS_PER_TURN = 16
const opens = new Turns(OPENS_PER_TURN)
// Each sets off code of the caller's, half a millisecond of it perhaps.
const PROMISES_PER_PIECE = 8
const share = new Share()
const CLOSED = { code: 'CLOSED', message: 'the sender is closed' }
const BROKEN = { code: 'CLOSED', message: "the sender's engine has failed: open another sender" }
const LOST = {
  code: 'ENGINE_FAILED',
  message: 'a defect interrupted the engine, and the outcome of this call is unknown; the sender continues',
}

const SEND_KEYS = new Set(['signal'])
const DRAIN_KEYS = new Set(['timeoutMs', 'signal'])
const PAUSE_KEYS = new Set(['scope', 'forMs'])
const RESUME_KEYS = new Set(['scope'])
const CLOSE_KEYS = new Set(['timeoutMs'])

// Only `Sender.open` knows it: a sender without an engine is of no use.
const OPEN = Symbol('open')

/** The queue in front of an organization's API. See types/sender.d.ts for what each member promises. */
class Sender extends ContextEmitter {
  #native
  #seat
  #accessToken
  #baseUrls
  #completions = new Completions((ticket) => this.#tell({ op: 'cancel', ticket }))
  #frame = new Frame()
  #frameFirstTicket = 0
  #ticketLast = 0
  #listened = ''
  #diagnostics
  #dashboards = null
  #channeled = []
  #closing = null
  #recovered = 0
  // What the core has told and this has yet to hear; null when that is nothing. Whether it is at it, and is called meanwhile.
  #rows = null
  #isHearing = false
  #isCalled = false
  // Events that came before anybody could listen; null once they are told.
  #early = null

  constructor(key, handle, seat, accessToken, organization) {
    if (key !== OPEN) throw new TypeError('a Sender is opened with await Sender.open(options), not with new')
    super([...EVENTS, ...OWN_EVENTS])
    this.#native = handle
    this.#seat = seat
    this.#accessToken = accessToken
    this.#diagnostics = new Diagnostics(this, organization)
    this.#watchListeners()
  }

  static async open(options) {
    const { settings, accessToken } = parseOptions(options)
    const { organization, store } = options
    const give = accessToken === null ? null : inContext(accessToken)
    const core = native()
    const waker = wakerOf(core.NativeWaker)
    let sender
    // An open sender lives as long as its engine may have something to tell it. A closed one leaves its seat, or it
    // would never be collected.
    const number = waker.add(() => sender?.#wake())
    const seat = { leave: () => waker.remove(number) }
    let handle
    try {
      const turn = opens.take()
      if (turn !== null) await turn
      const open = () => core.NativeSender.open(settings, waker.native, number)
      handle = open()
      if (handle === null) {
        await settleTrust(core.settleRoots)
        handle = open()
      }
    } catch (thrown) {
      seat.leave()
      throw errorFromThrown(thrown)
    }
    sender = outside(() => new Sender(OPEN, handle, seat, give, organization))
    sender.#baseUrls = baseUrls(options)
    keepAbout(sender, options)
    if (String(store).startsWith('file:')) await sender.#awaitStore()
    return sender
  }

  /** Messages of an earlier run that the store had, and that go on. */
  get recovered() {
    return this.#recovered
  }

  static metrics(senders) {
    const natives = Array.from(senders, (sender, index) => {
      if (!(typeof sender === 'object' && sender !== null && #native in sender)) {
        throw new TypeError(`senders[${index}] must be a Sender, got ${describe(sender)}`)
      }
      return sender.#native
    })
    return native().exposition(natives)
  }

  send(message, options) {
    return this.#submit(message, options, SETTLE_ON_OUTCOME)
  }

  enqueue(message, options) {
    const acceptance = this.#submit(message, options, SETTLE_ON_ACCEPTANCE)
    return this.#diagnostics.wantsAccepted() ? this.#diagnostics.accepted(acceptance) : acceptance
  }

  async request(request, options) {
    const signal = this.#begin(options)
    const { head, body } = checkRequest(request)
    return await this.#cross(signal, (ticket) => this.#native.request(ticket, head, body))
  }

  // For the adapters of spillway/sdk, spillway/axios and spillway/fetch.
  async [RAW](request, options) {
    const signal = this.#begin(options)
    const { head, body } = checkRequest(request, { raw: true })
    return await this.#cross(signal, (ticket) => this.#native.request(ticket, head, body))
  }

  get [VERSION]() {
    return version
  }

  get [BASE_URLS]() {
    return this.#baseUrls
  }

  get [IS_OPEN]() {
    return this.#closing === null
  }

  // For the dashboard.
  async [BACKLOG]({ conversations, requests }) {
    return await this.#ask({ op: 'backlog', conversations, requests })
  }

  stats() {
    try {
      return JSON.parse(this.#native.stats())
    } catch (thrown) {
      throw errorFromThrown(thrown)
    }
  }

  metrics() {
    return Sender.metrics([this])
  }

  async explain(id) {
    return await this.#ask({ op: 'explain', id: checkId('id', id) })
  }

  async *deadLetters() {
    let after = 0
    let until
    while (after !== null) {
      const page = await this.#ask({ op: 'deadLetters', after, until, limit: DEAD_LETTERS_PAGE })
      yield* page.letters
      // The first page says where all end: a letter that is redriven meanwhile and fails again would come for ever.
      ;({ next: after, until } = page)
    }
  }

  async redrive(which) {
    if (isObject(which)) return await this.#ask({ op: 'redriveAll', ...checkLetterFilter(which) })
    await this.#ask({ op: 'redrive', id: checkId('id', which) })
  }

  async drop(id) {
    await this.#ask({ op: 'drop', id: checkId('id', id) })
  }

  async pause(options = {}) {
    const { scope, forMs } = checkObject('options', options, PAUSE_KEYS)
    checkPauseScope(scope)
    await this.#ask({ op: 'pause', forMs: checkForMs(forMs) })
  }

  async resume(options = {}) {
    const { scope } = checkObject('options', options, RESUME_KEYS)
    await this.#ask({ op: 'resume', ...checkResumeScope(scope) })
  }

  async serveDashboard(options) {
    this.#checkOpen()
    // Loaded when asked for: most senders have none.
    const { serveDashboard } = require('./dashboard/serve.js')
    const dashboard = await serveDashboard(this, options)
    this.#dashboards = [...(this.#dashboards ?? []), dashboard]
    if (this.#closing !== null) await this.#closeDashboards()
    return dashboard
  }

  async drain(options = {}) {
    const { timeoutMs, signal } = checkObject('options', options, DRAIN_KEYS)
    checkTimeout(timeoutMs)
    checkSignal(signal)
    if (signal?.aborted) throw abortReason(signal)
    await this.#ask({ op: 'drain', timeoutMs }, signal)
  }

  // Not async: every call after the first gets the same promise.
  close(options = {}) {
    if (this.#closing !== null) return this.#closing
    let timeoutMs
    try {
      timeoutMs = checkTimeout(checkObject('options', options, CLOSE_KEYS).timeoutMs) ?? CLOSE_TIMEOUT_MS
    } catch (error) {
      return Promise.reject(error)
    }
    this.#closing = this.#close(timeoutMs)
    return this.#closing
  }

  async [asyncDispose]() {
    await this.close()
  }

  // Without a name, EventEmitter removes also the two listeners through which this class hears of the others.
  removeAllListeners(...names) {
    super.removeAllListeners(...names)
    this.#watchListeners()
    return this
  }

  // A file has to be read before anything can be accepted; whoever gets no sender leaves nothing behind.
  async #awaitStore() {
    this.#listenEarly()
    try {
      this.#recovered = (await this.#ask({ op: 'ready' })).recovered
    } catch (error) {
      this.#leave()
      throw error
    }
    setImmediate(() => this.#tellEarly())
  }

  // Messages of an earlier run may end as soon as the file is open, before its opener has the sender to listen to.
  #listenEarly() {
    this.#listened = EVENTS.join()
    this.#early = []
    this.#tell({ op: 'listen', events: EVENTS })
  }

  #tellEarly() {
    const early = this.#early
    this.#early = null
    this.#listen()
    each(early, ([name, payload]) => this.#happened(name, payload))
  }

  #leave(reason = CLOSED) {
    this.#completions.failAll(reason)
    this.#completions.end()
    this.#diagnostics.end()
    this.#seat.leave()
    // A closed sender that somebody keeps must not keep answers with it.
    this.#native.discard()
  }

  async #close(timeoutMs) {
    // `#closing` isn't set yet: this is the last op that isn't refused.
    const answer = this.#ask({ op: 'close', timeoutMs })
    try {
      return await answer
    } finally {
      this.#leave()
      await this.#closeDashboards()
    }
  }

  async #closeDashboards() {
    await Promise.all((this.#dashboards ?? []).map((dashboard) => dashboard.close()))
    this.#dashboards = null
  }

  #checkOpen() {
    if (this.#closing !== null) throw new ClosedError()
  }

  /** What every send begins with. Gives the signal; an aborted one rejects before anything crosses. */
  #begin(options) {
    this.#checkOpen()
    if (options === undefined) return undefined
    const { signal } = checkObject('options', options, SEND_KEYS)
    checkSignal(signal)
    if (signal?.aborted) throw abortReason(signal)
    return signal
  }

  // Not async, and the one promise of a message is the caller's own: each more would cost as much as the frame.
  #submit(message, options, flags) {
    try {
      const signal = this.#begin(options)
      const checked = checkMessage(message)
      const ticket = ++this.#ticketLast
      if (this.#frame.length === 0) {
        this.#frameFirstTicket = ticket
        NOW.then(this.#endOfTick)
      }
      this.#frame.append(ticket, flags, checked)
      this.#diagnostics.submitted(checked)
      const completion = this.#completions.expect(ticket, signal)
      if (this.#frame.length > FRAME_BYTES_MAX) this.#flush()
      return completion
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #endOfTick = () => this.#flush()

  // The tickets of a frame follow one another: whatever else takes a ticket flushes first.
  #flush() {
    if (this.#frame.length === 0) return
    this.#followChannels()
    try {
      this.#native.submit(this.#frame.take())
    } catch (thrown) {
      for (let ticket = this.#frameFirstTicket; ticket <= this.#ticketLast; ticket++) this.#fail(ticket, thrown)
    }
  }

  async #ask(op, signal) {
    this.#checkOpen()
    return this.#cross(signal, (ticket) => this.#native.call(JSON.stringify({ ...op, ticket })))
  }

  // What the tick has queued crosses first: an op must find the messages that were sent before it.
  #cross(signal, call) {
    this.#flush()
    this.#followChannels()
    const ticket = ++this.#ticketLast
    const completion = this.#completions.expect(ticket, signal)
    try {
      call(ticket)
    } catch (thrown) {
      this.#fail(ticket, thrown)
    }
    return completion
  }

  /** An op without an answer. A core that is gone doesn't miss it. */
  #tell(op) {
    this.#flush()
    try {
      this.#native.call(JSON.stringify(op))
    } catch {}
  }

  #fail(ticket, thrown) {
    this.#completions.fail(ticket, dataOf(errorFromThrown(thrown)))
  }

  // What comes while rows are heard waits until all of them are: the order is the core's.
  #wake() {
    this.#isCalled = true
    if (this.#isHearing) return
    this.#isHearing = true
    share.run(this.#hearSome)
  }

  // Whether there is more to hear.
  #hearSome = () => {
    if (this.#rows === null) {
      this.#isCalled = false
      this.#rows = new Rows(this.#takeRows())
    }
    this.#rows.take(PROMISES_PER_PIECE, this.#hear)
    if (!this.#rows.isEmpty) return true
    this.#rows = null
    this.#followChannels()
    this.#isHearing = this.#isCalled
    return this.#isCalled
  }

  // The core wakes only when nothing waits. So rows that can't be taken count as "more": it was one of them, perhaps.
  #takeRows() {
    try {
      return JSON.parse(this.#native.take())
    } catch (error) {
      surface(error)
      return [[NO_TICKET, 'more']]
    }
  }

  #hear = (row, from, to) => {
    if (row[0] !== NO_TICKET) return settle(this.#completions, row, this.#takeBody)
    switch (row[1]) {
      case 'accepted':
        return settleAccepted(this.#completions, row, from, to)
      case 'event':
        return this.#happened(row[2], row[3])
      case 'token':
        return this.#giveToken(row[2])
      case 'broken':
        return this.#break()
      case 'survived':
        return this.#completions.failOthers(row[2], new Set(row[3]), LOST)
      // Thousands at once, and what settles with them, must not keep the event loop from all else.
      case 'more':
        return setImmediate(this.#takeMore)
    }
  }

  #takeMore = () => this.#wake()
  #takeBody = (ticket) => this.#native.body(ticket)

  // Its engine answers nothing more: who waits is told, and who comes. Another sender gets another engine.
  #break() {
    this.#closing ??= Promise.resolve({ undelivered: this.#completions.size })
    this.#leave(BROKEN)
  }

  // What the engine tells for the channels alone is no event of the sender.
  #happened(name, payload) {
    // A pause without an end, which no JSON can say.
    if (name === 'throttled' && payload.untilMs === null) payload = { ...payload, untilMs: Infinity, pauseMs: Infinity }
    if (this.#early !== null) return this.#early.push([name, payload])
    this.#diagnostics.event(name, payload)
    if (!EVENTS.includes(name)) return
    if (payload === undefined || payload === null) this.emit(name)
    else this.emit(name, payload)
  }

  async #giveToken(id) {
    this.#tell({ op: 'token', id, ...(await tokenFrom(this.#accessToken)) })
  }

  #watchListeners() {
    for (const [name, listener] of [
      ['newListener', this.#listenerAdded],
      ['removeListener', this.#listenerRemoved],
    ]) {
      if (!this.listeners(name).includes(listener)) this.on(name, listener)
    }
    this.#listenerRemoved()
  }

  // 'newListener' comes before the listener is there, 'removeListener' when it is gone.
  #listenerAdded = (added) => this.#listen(added)
  #listenerRemoved = () => this.#listen()

  // A channel doesn't tell when it is subscribed to, so this is asked whenever something crosses in either direction.
  #followChannels() {
    if (this.#channeled.length > 0 || this.#diagnostics.wanted().length > 0) this.#listen()
  }

  // Only events that somebody listens to cross.
  #listen(added) {
    if (this.#early !== null) return
    this.#channeled = this.#diagnostics.wanted()
    const events = EVENTS.filter((name) => name === added || this.listenerCount(name) > 0)
    for (const name of this.#channeled) if (!events.includes(name)) events.push(name)
    const listened = events.join()
    if (listened === this.#listened) return
    this.#listened = listened
    // Not through `#tell`: what waits to cross is better heard of, and this is called while it crosses.
    try {
      this.#native.call(JSON.stringify({ op: 'listen', events }))
    } catch {}
  }
}

/** An error as the core would report it, for promises that settle with data. */
function dataOf(error) {
  if (error instanceof SpillwayError) return { ...error, message: error.message }
  return { code: 'SPILLWAY_ERROR', message: `the core failed: ${error?.message ?? error}`, cause: error }
}

module.exports = { Sender }
