'use strict'

const { EventEmitter } = require('node:events')

const { inContext } = require('./context.js')

/** An EventEmitter whose listeners for some events run in the async context of their registration, whoever emits. */
class ContextEmitter extends EventEmitter {
  #names

  constructor(names) {
    super()
    this.#names = names
  }

  on(name, listener) {
    return super.on(name, this.#isBound(name, listener) ? inContext(listener) : listener)
  }

  addListener(name, listener) {
    return this.on(name, listener)
  }

  prependListener(name, listener) {
    return super.prependListener(name, this.#isBound(name, listener) ? inContext(listener) : listener)
  }

  once(name, listener) {
    if (!this.#isBound(name, listener)) return super.once(name, listener)
    return super.on(name, this.#onceInContext(name, listener))
  }

  prependOnceListener(name, listener) {
    if (!this.#isBound(name, listener)) return super.prependOnceListener(name, listener)
    return super.prependListener(name, this.#onceInContext(name, listener))
  }

  // What is no function is left for EventEmitter to refuse.
  #isBound(name, listener) {
    return this.#names.includes(name) && typeof listener === 'function'
  }

  // EventEmitter's own wrapper would be what is bound, and its `off` would not find the listener in two layers.
  #onceInContext(name, listener) {
    const bound = inContext(listener)
    let isDone = false
    const once = (...args) => {
      if (isDone) return undefined
      isDone = true
      this.removeListener(name, once)
      return bound.apply(this, args)
    }
    once.listener = listener
    return once
  }
}

module.exports = { ContextEmitter }
