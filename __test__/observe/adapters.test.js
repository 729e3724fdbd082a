'use strict'

// Calls through the adapters are traced like those of request(): they go through another door of the sender.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base')
const axios = require('axios')

const { instrument } = require('spillway/otel')
const { answerJson, open, serve } = require('../http/support.js')

test('fetch and axios through an instrumented sender', async (t) => {
  const exporter = new InMemorySpanExporter()
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  const parents = []
  const { url } = await serve(t, (request, response) => {
    parents.push(request.headers.traceparent)
    answerJson(response, request.url === '/bad' ? 404 : 200, {})
  })
  const sender = await open(t, url, { credentials: { accessToken: 'token' } })
  const fetch = require('spillway/fetch').createFetch(sender)
  const api = axios.create({ baseURL: url, adapter: require('spillway/axios').createAdapter(sender), validateStatus: () => true })
  // After the adapters were made: they must not hold on to what they found.
  instrument(sender, { tracerProvider })
  assert.equal((await fetch(`${url}/good?name=secret`)).status, 200)
  assert.equal((await api.get('/bad')).status, 404)
  const spans = exporter.getFinishedSpans()
  assert.deepEqual(
    spans.map(({ name, attributes }) => [name, attributes['url.path'], attributes['http.response.status_code'], attributes['error.type']]),
    [
      ['GET', '/good', 200, undefined],
      ['GET', '/bad', 404, '404'],
    ],
  )
  assert.deepEqual(
    parents,
    spans.map((span) => `00-${span.spanContext().traceId}-${span.spanContext().spanId}-01`),
  )
})
