'use strict'

const { randomUUID } = require('node:crypto')

const CONVERSATIONS = 8

/**
 * What the ramp sends: the given messages in turn, each with an id of its own. The last conversation, if there are several, is kept
 * for the question of whom a limit concerns (`other`).
 */
class Requests {
  #method
  #template
  #messages
  #others
  #next = 0

  constructor({ method = 'POST', template, messages }) {
    this.#method = method
    this.#template = template
    const last = messages.at(-1).conversationId
    this.#others = messages.filter(({ conversationId }) => conversationId === last)
    const own = messages.filter(({ conversationId }) => conversationId !== last)
    this.#messages = own.length > 0 ? own : messages
    if (own.length === 0) this.#others = []
  }

  /** Messages that only a double takes. */
  static sample() {
    return Array.from({ length: CONVERSATIONS }, (_, index) => ({ conversationId: `ramp-${index + 1}`, body: { text: 'spillway ramp' } }))
  }

  get hasOther() {
    return this.#others.length > 0
  }

  next({ other = false } = {}) {
    const list = other ? this.#others : this.#messages
    const message = list[this.#next++ % list.length]
    const values = { ...message.params, conversationId: message.conversationId }
    const path = this.#template.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values[name] ?? ''))
    const body = typeof message.body === 'object' && message.body !== null ? { ...message.body, id: randomUUID() } : message.body
    return { method: this.#method, path, body, conversation: message.conversationId, params: message.params }
  }
}

module.exports = { Requests }
