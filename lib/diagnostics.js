'use strict'

// node:diagnostics_channel: what happens inside, for tools that don't hold the sender. Payloads carry ids, statuses and
// times; never a text, a body, a query or a secret.

const { channel } = require('node:diagnostics_channel')

const { shared } = require('./shared.js')

const submitted = channel('spillway:message:submitted')
const accepted = channel('spillway:message:accepted')

const pick =
  (...keys) =>
  (payload) =>
    Object.fromEntries(keys.map((key) => [key, payload[key]]))

/** For what a pause holds, and the limit that the server named. */
const SCOPE = ['scope', 'route', 'conversationId', 'key', 'namespace', 'value']

/** Adds whose it is, where it is that of one of several OAuth clients. */
const withToken = (told) => (payload) => (payload.token === undefined ? told(payload) : { ...told(payload), token: payload.token })

/** The engine's event behind each channel, and what of it is told. */
const OF_EVENTS = {
  delivered: {
    channel: channel('spillway:message:delivered'),
    told: pick('id', 'conversationId', 'status', 'attempts', 'batchSize', 'queuedMs', 'correlationId'),
  },
  deadLetter: {
    channel: channel('spillway:message:dead-letter'),
    told: pick('id', 'conversationId', 'reason', 'status', 'attempts', 'ambiguous', 'atMs'),
  },
  request: {
    channel: channel('spillway:request:end'),
    told: (end) => ({ ...end, path: withoutQuery(end.path) }),
  },
  throttled: { channel: channel('spillway:throttled'), told: withToken(pick(...SCOPE, 'reason', 'untilMs', 'pauseMs', 'long')) },
  resumed: { channel: channel('spillway:resumed'), told: withToken(pick(...SCOPE, 'pausedMs')) },
  outage: {
    channel: channel('spillway:outage'),
    // Why there is no token is told in words of our own.
    told: withToken(({ reason, message, open }) => (reason === 'token' ? { reason, message, open } : { reason, open })),
  },
}
const NAMES = Object.keys(OF_EVENTS)

// Every sender of an organization hears all that its engine tells. Only one of them publishes, or a subscriber would
// count everything once a sender.
const publishers = shared('diagnostics.publishers', () => new Map())

/** What one sender publishes. */
class Diagnostics {
  #sender
  #organization

  constructor(sender, organization) {
    this.#sender = sender
    this.#organization = organization
  }

  /** The engine's events that this sender must hear for the channels, as they are subscribed to at this moment. */
  wanted() {
    // Nearly always nobody subscribes: then this is six reads and no allocation.
    if (!NAMES.some(isSubscribed)) return NONE
    return this.#isPublisher() ? NAMES.filter(isSubscribed) : NONE
  }

  event(name, payload) {
    const { channel, told } = OF_EVENTS[name] ?? {}
    if (!channel?.hasSubscribers || !this.#isPublisher()) return
    channel.publish({ organization: this.#organization, ...told(payload) })
  }

  submitted({ id, conversationId }) {
    if (!submitted.hasSubscribers) return
    submitted.publish({ organization: this.#organization, id: id === '' ? null : id, conversationId })
  }

  wantsAccepted() {
    return accepted.hasSubscribers
  }

  /** Gives what the promise gives, once that is published. */
  async accepted(promise) {
    const acceptance = await promise
    accepted.publish({ organization: this.#organization, id: acceptance.id, duplicate: acceptance.duplicate })
    return acceptance
  }

  /** The next sender of the organization takes over. */
  end() {
    if (publishers.get(this.#organization) === this.#sender) publishers.delete(this.#organization)
  }

  #isPublisher() {
    if (!publishers.has(this.#organization)) publishers.set(this.#organization, this.#sender)
    return publishers.get(this.#organization) === this.#sender
  }
}

const NONE = Object.freeze([])
const isSubscribed = (name) => OF_EVENTS[name].channel.hasSubscribers

function withoutQuery(path) {
  const at = path.indexOf('?')
  return at === -1 ? path : path.slice(0, at)
}

module.exports = { Diagnostics }
