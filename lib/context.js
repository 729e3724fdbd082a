'use strict'

// Async contexts: what AsyncLocalStorage holds when a callback runs. The core calls from outside all of them.

const { AsyncResource } = require('node:async_hooks')

/** The context in which the package was loaded: what lives as long as a sender must not hold on to a request's. */
const LOADED = new AsyncResource('SPILLWAY')

/** Runs `work` in the context in which the package was loaded. */
function outside(work) {
  return LOADED.runInAsyncScope(work)
}

/** The function, to be called in the context of this moment. An EventEmitter removes and lists it as what it is made of. */
function inContext(callback) {
  const context = new AsyncResource('SPILLWAY_CALLBACK')
  const bound = function (...args) {
    return context.runInAsyncScope(callback, this, ...args)
  }
  bound.listener = callback
  return bound
}

module.exports = { inContext, outside }
