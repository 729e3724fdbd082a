'use strict'

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const { test } = require('node:test')

const { context, SpanKind, SpanStatusCode, trace } = require('@opentelemetry/api')
const { AsyncLocalStorageContextManager } = require('@opentelemetry/context-async-hooks')
const { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } =
  require('@opentelemetry/sdk-metrics')
const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base')

const { TEMPLATES } = require('../../lib/otel/attributes.js')
const { Parents } = require('../../lib/otel/parents.js')
const { instrument } = require('spillway/otel')
const { answerJson, defer, failure, message, open, ROOT, serve, simulate, until } = require('../http/support.js')

context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())

function tracing(t) {
  const exporter = new InMemorySpanExporter()
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  defer(t, () => tracerProvider.shutdown())
  return { tracerProvider, spans: () => exporter.getFinishedSpans() }
}

function metering(t) {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const meterProvider = new MeterProvider({ readers: [reader] })
  defer(t, () => meterProvider.shutdown())
  const read = async () => {
    exporter.reset()
    await reader.forceFlush()
    return new Map(
      exporter
        .getMetrics()
        .flatMap((resource) => resource.scopeMetrics)
        .flatMap((scope) => scope.metrics)
        .map((metric) => [metric.descriptor.name, metric]),
    )
  }
  return { meterProvider, read }
}

/** A server that answers with the next of these statuses, then with 200, and what it got as `traceparent`. */
async function recorder(t, ...statuses) {
  const parents = []
  const { url } = await serve(t, (request, response) => {
    request.resume().on('end', () => {
      parents.push([request.url, request.headers.traceparent])
      const status = statuses.shift() ?? 200
      answerJson(response, status, { message: 'answer' }, { 'inin-correlation-id': `c${parents.length}` })
    })
  })
  return { url, parents }
}

const credentials = { accessToken: 'secret-token' }
const of = (spans, kind) => spans.filter((span) => span.kind === kind)
const traceparent = (span) => `00-${span.spanContext().traceId}-${span.spanContext().spanId}-01`

test('the context goes from the caller over send to the request', async (t) => {
  const { tracerProvider, spans } = tracing(t)
  const { url, parents } = await recorder(t)
  const sender = await open(t, url, { credentials })
  instrument(sender, { tracerProvider })
  const caller = tracerProvider.getTracer('caller').startSpan('handler')
  const before = Date.now()
  const receipt = await context.with(trace.setSpan(context.active(), caller), () =>
    sender.send({ conversationId: 'lane', body: { text: 'a text' } }),
  )
  await until(() => spans().length === 2)
  const [producer] = of(spans(), SpanKind.PRODUCER)
  const [client] = of(spans(), SpanKind.CLIENT)
  assert.deepEqual(parents, [['/api/v2/messaging/conversations/lane/messages', traceparent(producer)]])

  assert.equal(producer.name, 'send messaging')
  assert.equal(producer.parentSpanContext.spanId, caller.spanContext().spanId)
  const { hostname, port } = new URL(url)
  assert.deepEqual(producer.attributes, {
    'messaging.system': 'genesys_cloud',
    'messaging.operation.name': 'send',
    'messaging.operation.type': 'send',
    'messaging.destination.name': 'messaging',
    'messaging.message.id': receipt.id,
    'messaging.message.conversation_id': 'lane',
    'server.address': hostname,
    'server.port': Number(port),
  })
  assert.equal(client.name, 'POST /api/v2/messaging/conversations/{conversationId}/messages')
  assert.equal(client.spanContext().traceId, caller.spanContext().traceId)
  assert.equal(client.parentSpanContext.spanId, producer.spanContext().spanId)
  const path = '/api/v2/messaging/conversations/lane/messages'
  assert.deepEqual(client.attributes, {
    'http.request.method': 'POST',
    'url.template': '/api/v2/messaging/conversations/{conversationId}/messages',
    'url.path': path,
    'url.full': url + path,
    'server.address': hostname,
    'server.port': Number(port),
    'http.response.status_code': 200,
    'http.response.header.inin-correlation-id': ['c1'],
  })
  const startedMs = client.startTime[0] * 1_000 + client.startTime[1] / 1e6
  assert.ok(startedMs >= before - 5 && startedMs <= Date.now() + 5, `${startedMs - before} ms`)
  assert.doesNotMatch(
    JSON.stringify(spans().map(({ name, attributes, events, status }) => [name, attributes, events, status])),
    /a text|secret-token/,
  )
})

test('each attempt is a request of its own below one send', async (t) => {
  const { tracerProvider, spans } = tracing(t)
  const { url, parents } = await recorder(t, 429, 503)
  const sender = await open(t, url, { credentials })
  instrument(sender, { tracerProvider })
  const [generated, given] = [
    { conversationId: 'g', body: 1 },
    { conversationId: 'i', body: 1, id: 'given' },
  ]
  await sender.send(generated)
  await until(() => spans().length === 4)
  const clients = of(spans(), SpanKind.CLIENT)
  const [producer] = of(spans(), SpanKind.PRODUCER)
  assert.deepEqual(
    clients.map(({ attributes: a }) => [a['http.response.status_code'], a['error.type'], a['http.request.resend_count']]),
    [
      [429, '429', undefined],
      [503, '503', 1],
      [200, undefined, 2],
    ],
  )
  assert.deepEqual(
    clients.map(({ status }) => status.code),
    [SpanStatusCode.ERROR, SpanStatusCode.ERROR, SpanStatusCode.UNSET],
  )
  for (const client of clients) assert.equal(client.parentSpanContext.spanId, producer.spanContext().spanId)
  assert.deepEqual(new Set(parents.map(([, parent]) => parent)), new Set([traceparent(producer)]))

  await sender.send(given)
  await until(() => spans().length === 6)
  assert.equal(of(spans(), SpanKind.CLIENT)[3].parentSpanContext.spanId, of(spans(), SpanKind.PRODUCER)[1].spanContext().spanId)
})

test('an enqueue ends with its acceptance, and its request has it for a parent all the same', async (t) => {
  const { tracerProvider, spans } = tracing(t)
  const { url, parents } = await recorder(t)
  const sender = await open(t, url, { credentials, route: { path: '/x/{conversationId}' } })
  instrument(sender, { tracerProvider })
  const accepted = await Promise.all([1, 2, 3].map((n) => sender.enqueue({ conversationId: `c${n}`, body: n })))
  await sender.drain()
  await until(() => spans().length === 6)
  const producers = new Map(of(spans(), SpanKind.PRODUCER).map((span) => [span.attributes['messaging.message.id'], span]))
  assert.deepEqual([...producers.keys()].sort(), accepted.map(({ id }) => id).sort())
  for (const client of of(spans(), SpanKind.CLIENT)) {
    assert.equal(client.name, 'POST /x/{conversationId}')
    const producer = [...producers.values()].find((span) => span.spanContext().spanId === client.parentSpanContext.spanId)
    assert.equal(client.attributes['url.path'], `/x/${producer.attributes['messaging.message.conversation_id']}`)
    assert.ok(parents.some(([path, parent]) => path === client.attributes['url.path'] && parent === traceparent(producer)))
  }
})

test('a batch that is parted by its refusal has a span for each request', async (t) => {
  const { tracerProvider, spans } = tracing(t)
  const simulator = await simulate(t, { poisonText: 'poison' })
  const batch = { mode: 'array', maxMessages: 4, lingerMs: 60_000 }
  const sender = await open(t, simulator, { route: 'messaging-array', batch })
  instrument(sender, { tracerProvider })
  const texts = ['fine', 'fine', 'fine', 'poison']
  await Promise.allSettled(texts.map((text, n) => sender.send({ id: `m${n}`, conversationId: `c${n}`, body: { text } })))
  await until(() => of(spans(), SpanKind.PRODUCER).length === 4)
  const told = of(spans(), SpanKind.CLIENT).map(({ attributes, parentSpanContext }) => {
    const parent = of(spans(), SpanKind.PRODUCER).find((span) => span.spanContext().spanId === parentSpanContext.spanId)
    const { 'http.response.status_code': status, 'messaging.batch.message_count': count } = attributes
    return [parent.attributes['messaging.message.id'], count ?? 1, status]
  })
  assert.equal(told.length, simulator.ledger().arrivals)
  assert.deepEqual(told, [
    ['m0', 4, 400],
    ['m0', 2, 200],
    ['m2', 1, 200],
    ['m3', 1, 400],
  ])
})

test('what fails says so by its code, and not by its text', async (t) => {
  const { tracerProvider, spans } = tracing(t)
  const simulator = await simulate(t, { poisonText: 'poison' })
  const sender = await open(t, simulator)
  instrument(sender, { tracerProvider })
  const error = await failure(sender.send({ conversationId: 'c', body: { text: 'poison' } }))
  assert.equal(error.code, 'DELIVERY_REJECTED')
  await failure(sender.send({ conversationId: '', body: 1 }))
  await failure(sender.send())
  await failure(sender.request({ method: 'get', path: 7 }))
  await until(() => spans().length === 5)
  assert.deepEqual(
    spans()
      .map(({ name, attributes }) => [name, attributes['error.type']])
      .sort(),
    [
      ['POST /api/v2/messaging/conversations/{conversationId}/messages', '400'],
      ['_OTHER', 'MESSAGE_INVALID'],
      ['send messaging', 'DELIVERY_REJECTED'],
      ['send messaging', 'MESSAGE_INVALID'],
      ['send messaging', 'MESSAGE_INVALID'],
    ],
  )
  assert.ok(spans().every(({ status }) => status.code === SpanStatusCode.ERROR))
  assert.doesNotMatch(JSON.stringify(spans().map(({ attributes, status }) => [attributes, status])), /poison/)
})

test('a server that cannot be reached, or does not answer', async (t) => {
  const { tracerProvider, spans } = tracing(t)
  const { url } = await serve(t, () => {})
  const slow = await open(t, url, { credentials, connections: { requestTimeoutMs: 500 }, retry: { maxAttempts: 1 } })
  const gone = await open(t, 'http://127.0.0.1:9', { credentials, retry: { maxAttempts: 1 } })
  for (const sender of [slow, gone]) {
    instrument(sender, { tracerProvider })
    await failure(sender.send({ conversationId: 'c', body: 1 }))
  }
  await until(() => spans().length === 4)
  const clients = of(spans(), SpanKind.CLIENT)
  assert.deepEqual(clients.map(({ attributes }) => attributes['error.type']).sort(), ['_OTHER', 'timeout'])
  assert.ok(clients.every(({ status }) => status.message.length > 0))
})

test('request() is one span, and carries it', async (t) => {
  const { tracerProvider, spans } = tracing(t)
  const { url, parents } = await recorder(t, 200, 404)
  const sender = await open(t, url, { credentials })
  instrument(sender, { tracerProvider })
  assert.equal((await sender.request({ method: 'GET', path: '/a', query: { name: 'a secret' } })).status, 200)
  await failure(sender.request({ method: 'PUT', path: '/b', body: {}, headers: { 'X-A': 'b' } }))
  await sender.request({ method: 'GET', path: '/c', headers: { Traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' } })
  const [a, b] = of(spans(), SpanKind.CLIENT)
  assert.deepEqual([a.name, a.attributes['url.full'], a.attributes['http.response.status_code']], ['GET', `${url}/a`, 200])
  assert.deepEqual([b.name, b.attributes['error.type'], b.status.code], ['PUT', '404', SpanStatusCode.ERROR])
  assert.deepEqual(
    parents.map(([, parent]) => parent),
    [traceparent(a), traceparent(b), '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
  )
  assert.doesNotMatch(JSON.stringify(spans().map(({ attributes }) => attributes)), /secret/)
})

test('metrics: durations in seconds by status, and the numbers of the engine, once an organization', async (t) => {
  const { meterProvider, read } = metering(t)
  const simulator = await simulate(t, { poisonText: 'poison' })
  const sender = await open(t, simulator)
  const { organization } = sender.stats()
  const twin = await open(t, simulator, { organization })
  const off = instrument(sender, { meterProvider })
  instrument(twin, { meterProvider })
  const startedAt = performance.now()
  await Promise.all([sender.send(message('a')), twin.send(message('b'))])
  const tookSeconds = (performance.now() - startedAt) / 1_000
  await failure(sender.send({ conversationId: 'c', body: { text: 'poison' } }))
  await until(() => sender.stats().counters.deadLetters === 1)
  const found = await read()
  const duration = found.get('http.client.request.duration')
  assert.equal(duration.descriptor.unit, 's')
  const { hostname, port } = new URL(simulator.url)
  const server = { 'http.request.method': 'POST', 'server.address': hostname, 'server.port': Number(port) }
  const points = duration.dataPoints.map(({ attributes, value }) => [attributes['http.response.status_code'], attributes, value])
  points.sort(([a], [b]) => a - b)
  assert.equal(points.length, 2)
  const [[ok, , good], [bad, badAttributes, refused]] = points
  assert.ok(ok >= 200 && ok < 300 && bad === 400)
  assert.deepEqual(badAttributes, { ...server, 'http.response.status_code': 400, 'error.type': '400' })
  assert.deepEqual([good.count, refused.count], [2, 1])
  assert.ok(good.sum > 0 && good.sum <= 2 * tookSeconds, `${good.sum} s for two requests within ${tookSeconds} s`)
  assert.equal(good.buckets.boundaries[0], 0.005)
  const value = (name) => found.get(name).dataPoints.map((point) => [point.attributes, point.value])
  const attributes = { 'spillway.organization': organization }
  assert.deepEqual(value('spillway.messages.delivered'), [[attributes, 2]])
  assert.deepEqual(value('spillway.messages.dead_letter'), [[attributes, 1]])
  assert.deepEqual(value('spillway.queue.messages'), [[attributes, 0]])
  assert.deepEqual(value('spillway.pause.remaining'), [[attributes, 0]])

  // The twin takes over.
  off()
  await twin.send(message('c'))
  // One sender of the organization publishes for all: its wake may come after the promise of another.
  const requests = async () => {
    const { dataPoints } = (await read()).get('http.client.request.duration')
    return dataPoints.reduce((sum, point) => sum + point.value.count, 0)
  }
  await until(async () => (await requests()) === 4)
})

test('it is taken off again, and put on once', async (t) => {
  const { tracerProvider, spans } = tracing(t)
  const { url, parents } = await recorder(t)
  const sender = await open(t, url, { credentials })
  const off = instrument(sender, { tracerProvider })
  assert.equal(instrument(sender, { tracerProvider }), off)
  await sender.send({ conversationId: 'c', body: 1 })
  assert.equal(spans().length, 2)
  off()
  off()
  assert.deepEqual(
    Object.getOwnPropertyNames(sender).filter((name) => ['send', 'enqueue', 'request'].includes(name)),
    [],
  )
  await sender.send({ conversationId: 'c', body: 1 })
  assert.equal(spans().length, 2)
  assert.equal(parents[1][1], undefined)
})

test('without a provider nothing is carried; wrong arguments are refused', async (t) => {
  const { url, parents } = await recorder(t)
  const sender = await open(t, url, { credentials })
  instrument(sender)
  await sender.send({ conversationId: 'c', body: 1 })
  assert.deepEqual(
    parents.map(([, parent]) => parent),
    [undefined],
  )
  assert.throws(() => instrument({}), { name: 'ConfigError', message: /sender must be a Sender/ })
  assert.throws(() => instrument(sender, { tracer: 1 }), { name: 'ConfigError', field: 'tracer' })
  assert.throws(() => instrument(sender, { tracerProvider: {} }), /tracerProvider must be an object with getTracer\(\)/)
})

test('what waits for its parent is bounded, and a batch belongs to its first message', () => {
  const found = []
  const parents = new Parents((end, context, resends) => found.push([end.n, context, resends]))
  for (let n = 0; n < 10_001; n++) parents.ended({ n, messageId: `m${n}`, messages: 1, status: 200 })
  for (const id of ['m0', 'm1', 'm10000']) parents.own(id, id)
  assert.deepEqual(found, [
    [1, 'm1', 0],
    [10_000, 'm10000', 0],
  ])
  parents.own('first', 'batch')
  parents.ended({ n: 'b', messageId: 'first', messages: 10, status: null })
  parents.ended({ n: 'c', messageId: 'first', messages: 5, status: 200 })
  assert.deepEqual(found.slice(2), [
    ['b', 'batch', 0],
    ['c', 'batch', 1],
  ])
  parents.ended({ n: 'd', messageId: 'first', messages: 1, status: 200 })
  assert.equal(found.length, 4, 'what is delivered has no more requests')
})

test('the path templates are those of the presets', () => {
  const text = require('node:fs').readFileSync(`${ROOT}/types/route.d.ts`, 'utf8')
  for (const [preset, path] of Object.entries(TEMPLATES)) assert.ok(text.includes(`- \`${preset}\`: \`${path}\``), preset)
})

test('both faces give the same, and a missing peer says what to install', async () => {
  const esm = await import('spillway/otel')
  assert.deepEqual({ ...esm }, require('spillway/otel'))
  const script = `
    const Module = require('node:module')
    const load = Module._load
    Module._load = (id, ...rest) => {
      if (id.startsWith('@opentelemetry/')) throw Object.assign(new Error('gone'), { code: 'MODULE_NOT_FOUND' })
      return load(id, ...rest)
    }
    require('./index.js')
    try { require('spillway/otel') } catch (error) { console.log(error.code, error.message) }`
  const output = execFileSync(process.execPath, ['-e', script], { cwd: ROOT, encoding: 'utf8' })
  assert.match(output, /^PEER_MISSING .*npm install @opentelemetry\/api/)
})

test('instruments where node:diagnostics_channel has channels and nothing else, as in Node 18.3', () => {
  const script = `
    const diagnostics = require('node:diagnostics_channel')
    delete diagnostics.subscribe
    delete diagnostics.unsubscribe
    const { Sender, Simulator } = require('./index.js')
    const { instrument } = require('spillway/otel')
    const run = async () => {
      const simulator = await Simulator.start()
      const sender = await Sender.open({
        organization: 'otel-channels', apiUrl: simulator.url, loginUrl: simulator.url, route: 'messaging', store: 'memory',
        credentials: { accessToken: 'token' }, rateLimit: { requests: 100, perMs: 1_000 },
      })
      const off = instrument(sender)
      const isSubscribed = () => diagnostics.channel('spillway:request:end').hasSubscribers
      const before = isSubscribed()
      await sender.send({ conversationId: 'lane', body: { text: 'a text' } })
      off()
      console.log(before, isSubscribed())
      await sender.close()
      await simulator.close()
    }
    run()`
  const output = execFileSync(process.execPath, ['-e', script], { cwd: ROOT, encoding: 'utf8' })
  assert.equal(output, 'true false\n')
})
