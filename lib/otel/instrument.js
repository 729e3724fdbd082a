'use strict'

const { channel } = require('node:diagnostics_channel')

const { version } = require('../../package.json')
const { about } = require('../about.js')
const { checkObject, invalid } = require('../checks.js')
const { RAW } = require('../raw.js')
const { shared } = require('../shared.js')
const { withTraceparent } = require('../traceparent.js')
const { metrics, trace } = require('./api.js')
const { Instruments } = require('./instruments.js')
const { Spans } = require('./spans.js')

// Held here: Node lets go of a channel that nobody holds, with its subscribers. Node 18.3 has no other way to subscribe.
const requests = channel('spillway:request:end')
const KEYS = new Set(['tracerProvider', 'meterProvider'])

const instrumented = shared('otel.instrumented', () => new WeakMap())
// Senders of one organization read the same engine: the numbers are told once, by the first that is still instrumented.
const measured = shared('otel.measured', () => new Map())

/** Spans and metrics of a sender. Gives the function that takes them off again. */
function instrument(sender, options = {}) {
  const facts = about(sender)
  if (facts === undefined) throw invalid('sender', 'a Sender of this package', sender)
  const { tracerProvider = trace, meterProvider = metrics } = checkObject('options', options, KEYS)
  checkProvider('tracerProvider', tracerProvider, 'getTracer')
  checkProvider('meterProvider', meterProvider, 'getMeter')
  if (instrumented.has(sender)) return instrumented.get(sender)

  const spans = new Spans(tracerProvider.getTracer('spillway', version), facts)
  const instruments = new Instruments(meterProvider.getMeter('spillway', version), sender, facts, () => {
    if (!measured.has(facts.organization)) measured.set(facts.organization, sender)
    return measured.get(facts.organization) === sender
  })
  const unwrap = wrap(sender, spans)
  const onEnd = (end) => {
    if (end.organization !== facts.organization) return
    instruments.requestEnded(end)
    spans.requestEnded(end)
  }
  requests.subscribe(onEnd)

  const off = () => {
    if (instrumented.get(sender) !== off) return
    instrumented.delete(sender)
    requests.unsubscribe(onEnd)
    unwrap()
    instruments.end()
    if (measured.get(facts.organization) === sender) measured.delete(facts.organization)
  }
  instrumented.set(sender, off)
  return off
}

/** Puts the traced methods over the sender's own. The adapters call one of them that isn't public, if there is any. */
function wrap(sender, spans) {
  const traced = {
    send: (plain) => (message, options) =>
      spans.message(message, (text) => withTraceparent(text, () => plain.call(sender, message, options))),
    enqueue: (plain) => (message, options) =>
      spans.message(message, (text) => withTraceparent(text, () => plain.call(sender, message, options))),
    request: (plain) => (request, options) => spans.call(request, (text) => plain.call(sender, withHeader(request, text), options)),
  }
  traced[RAW] = traced.request
  const names = Reflect.ownKeys(traced).filter((name) => typeof sender[name] === 'function')
  for (const name of names) {
    Object.defineProperty(sender, name, { value: traced[name](sender[name]), configurable: true, writable: true })
  }
  return () => names.forEach((name) => delete sender[name])
}

// A caller's own `traceparent` goes before ours. What isn't a request is left for the sender to refuse.
function withHeader(request, text) {
  if (text === '' || typeof request !== 'object' || request === null) return request
  const { headers = {} } = request
  if (typeof headers !== 'object' || headers === null) return request
  if (Object.keys(headers).some((name) => name.toLowerCase() === 'traceparent')) return request
  return { ...request, headers: { ...headers, traceparent: text } }
}

function checkProvider(field, provider, method) {
  if (typeof provider?.[method] !== 'function') throw invalid(field, `an object with ${method}()`, provider)
}

module.exports = { instrument }
