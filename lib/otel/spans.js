'use strict'

const { context, SpanKind, SpanStatusCode, trace, TraceFlags, isSpanContextValid } = require('./api.js')
const { errorNameOf, outcomeOf, serverOf, templateOf } = require('./attributes.js')
const { Parents } = require('./parents.js')

/** The spans of one sender. */
class Spans {
  #tracer
  #apiUrl
  #server
  #route
  #parents = new Parents((end, parent, resends) => this.#request(end, parent, resends))

  constructor(tracer, { apiUrl, route }) {
    this.#tracer = tracer
    this.#apiUrl = apiUrl
    this.#server = serverOf(apiUrl)
    this.#route = route
  }

  /**
   * A PRODUCER span around the handing over of a message: up to its receipt (`send`) or its acceptance (`enqueue`).
   * `handOver(traceparent)` gives the promise; the core sends the text with the message's request.
   */
  async message(message, handOver) {
    const span = this.#tracer.startSpan(`send ${this.#route}`, {
      kind: SpanKind.PRODUCER,
      attributes: {
        'messaging.system': 'genesys_cloud',
        'messaging.operation.name': 'send',
        'messaging.operation.type': 'send',
        'messaging.destination.name': this.#route,
        ...this.#server,
        ...texts({ 'messaging.message.conversation_id': message?.conversationId, 'messaging.message.id': message?.id }),
      },
    })
    const within = trace.setSpan(context.active(), span)
    // Known from the start, if the caller gave it.
    const givenId = typeof message?.id === 'string' ? message.id : undefined
    if (givenId !== undefined) this.#parents.own(givenId, within)
    try {
      const settled = await handOver(traceparentOf(span))
      if (givenId === undefined) {
        span.setAttribute('messaging.message.id', settled.id)
        this.#parents.own(settled.id, within)
      }
      // A receipt: there are no more requests to come.
      if (settled.status !== undefined) this.#parents.forget(settled.id)
      return settled
    } catch (error) {
      if (givenId === undefined && typeof error?.messageId === 'string') {
        this.#parents.own(error.messageId, within)
        this.#parents.forget(error.messageId)
      }
      failed(span, errorNameOf(error))
      throw error
    } finally {
      span.end()
    }
  }

  /** A CLIENT span around a call of `request()`, its wait for the budget and its retries included. */
  async call(request, send) {
    const span = this.#tracer.startSpan(methodOf(request), {
      kind: SpanKind.CLIENT,
      attributes: { 'http.request.method': methodOf(request), ...this.#server, ...this.#url(request?.path) },
    })
    try {
      const response = await send(traceparentOf(span))
      const outcome = outcomeOf(response)
      span.setAttributes(outcome)
      if (outcome['error.type'] !== undefined) span.setStatus({ code: SpanStatusCode.ERROR })
      return response
    } catch (error) {
      const status = typeof error?.status === 'number' ? { 'http.response.status_code': error.status } : {}
      span.setAttributes(status)
      failed(span, status['http.response.status_code'] >= 400 ? String(error.status) : errorNameOf(error))
      throw error
    } finally {
      span.end()
    }
  }

  /** A request that carried messages came to its end. */
  requestEnded(end) {
    if (end.messages > 0) this.#parents.ended(end)
  }

  #request(end, parent, resends) {
    const template = templateOf(this.#route)
    const outcome = outcomeOf(end)
    const span = this.#tracer.startSpan(
      `${end.method} ${template}`,
      {
        kind: SpanKind.CLIENT,
        startTime: end.startedAtMs,
        attributes: {
          'http.request.method': end.method,
          'url.template': template,
          ...this.#server,
          ...this.#url(end.path),
          ...outcome,
          ...(resends > 0 ? { 'http.request.resend_count': resends } : {}),
          ...(end.messages > 1 ? { 'messaging.batch.message_count': end.messages } : {}),
          ...(end.correlationId ? { 'http.response.header.inin-correlation-id': [end.correlationId] } : {}),
        },
      },
      parent,
    )
    if (outcome['error.type'] !== undefined) {
      span.setStatus({ code: SpanStatusCode.ERROR, ...(end.problem ? { message: end.problem } : {}) })
    }
    span.end(end.startedAtMs + end.tookMs)
  }

  // A query may hold names of customers; it stays out.
  #url(path) {
    if (typeof path !== 'string') return {}
    const [plain] = path.split('?', 1)
    return { 'url.full': this.#apiUrl + plain, 'url.path': plain }
  }
}

const texts = (attributes) => Object.fromEntries(Object.entries(attributes).filter(([, value]) => typeof value === 'string'))
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const methodOf = (request) => (METHODS.has(request?.method) ? request.method : '_OTHER')

function failed(span, type) {
  span.setAttribute('error.type', type)
  span.setStatus({ code: SpanStatusCode.ERROR })
}

/** The span as a W3C `traceparent`; empty if there is no tracing. */
function traceparentOf(span) {
  const at = span.spanContext()
  if (!isSpanContextValid(at)) return ''
  const flags = (at.traceFlags ?? TraceFlags.NONE).toString(16).padStart(2, '0')
  return `00-${at.traceId}-${at.spanId}-${flags}`
}

module.exports = { Spans }
