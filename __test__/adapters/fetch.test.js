'use strict'

// spillway/fetch beside Node's own.

const assert = require('node:assert/strict')
const { describe, it, test } = require('node:test')
const { setTimeout: delay } = require('node:timers/promises')

const { createFetch } = require('spillway/fetch')
const { failure, open, serve, simulate, until } = require('../http/support.js')
const { axiosServer: server } = require('./axios-server.js')
const { echo, openWithToken, SENT_OTHERWISE, without } = require('./support.js')

const VOLATILE = ['date', 'connection', 'keep-alive', 'transfer-encoding', 'content-encoding']

const stream = (...chunks) =>
  new ReadableStream({
    pull(controller) {
      if (chunks.length === 0) controller.close()
      else controller.enqueue(Buffer.from(chunks.shift()))
    },
  })
function form() {
  const form = new FormData()
  form.append('a', 'ü')
  return form
}
const abortedAt = (event, reason) => {
  const controller = new AbortController()
  event.then(() => controller.abort(reason))
  return controller.signal
}
/** Time enough for a request to arrive before. */
const TIMEOUT_MS = 500

/**
 * Programs: each gives a Response, or something of it; `arrival()` resolves when its next request has arrived. Node's fetch
 * and ours must give the same.
 */
const CASES = {
  json: async (fetch, url) => (await fetch(`${url}/json`)).json(),
  text: (fetch, url) => fetch(`${url}/text`),
  arrayBuffer: async (fetch, url) => Buffer.from(await (await fetch(`${url}/bytes`)).arrayBuffer()).toString('hex'),
  blob: async (fetch, url) => (await (await fetch(`${url}/bytes`)).blob()).type,
  'body as a stream': async (fetch, url) => {
    const chunks = []
    for await (const chunk of (await fetch(`${url}/bytes`)).body) chunks.push(chunk)
    return Buffer.concat(chunks).toString('hex')
  },
  clone: async (fetch, url) => {
    const response = await fetch(`${url}/json`)
    const clone = response.clone()
    return [await response.text(), await clone.text(), clone.url === response.url, clone.type, clone.status]
  },
  'a body is read once': async (fetch, url) => {
    const response = await fetch(`${url}/json`)
    await response.text()
    return [response.bodyUsed, await response.text().catch((error) => error.name)]
  },
  'a body that is broken json': async (fetch, url) => (await fetch(`${url}/broken-json`)).json(),
  204: (fetch, url) => fetch(`${url}/no-content`, { method: 'DELETE' }),
  '204 has no body': async (fetch, url) => (await fetch(`${url}/no-content`)).body,
  304: (fetch, url) => fetch(`${url}/304`),
  '404 resolves': (fetch, url) => fetch(`${url}/404`),
  '501 resolves': (fetch, url) => fetch(`${url}/501`),
  headers: async (fetch, url) => {
    const { headers } = await fetch(`${url}/headers`)
    return [headers.get('X-Two'), headers.get('retry-after'), headers.has('x-empty'), headers.get('x-not')]
  },
  cookies: async (fetch, url) => (await fetch(`${url}/cookies`)).headers.getSetCookie(),
  gzip: (fetch, url) => fetch(`${url}/gzip`),
  deflate: (fetch, url) => fetch(`${url}/deflate`),
  brotli: (fetch, url) => fetch(`${url}/br`),
  head: (fetch, url) => fetch(`${url}/json`, { method: 'HEAD' }),
  'a URL as input': (fetch, url) => fetch(new URL(`${url}/echo?a=b c#part`)),
  'a Request as input': (fetch, url) => fetch(new Request(`${url}/echo`, { method: 'POST', body: 'text', headers: { 'X-Mine': 'a' } })),
  'a Request with an init': (fetch, url) =>
    fetch(new Request(`${url}/echo`, { method: 'POST', body: 'text' }), {
      method: 'PUT',
      headers: { 'X-Mine': 'b', 'Content-Type': 'text/x' },
    }),
  'a Request is used up': async (fetch, url) => {
    const request = new Request(`${url}/echo`, { method: 'POST', body: 'text' })
    await fetch(request)
    return [
      request.bodyUsed,
      await fetch(request).then(
        () => 'resolved',
        (error) => error.name,
      ),
    ]
  },
  'methods in lower case': (fetch, url) => fetch(`${url}/echo`, { method: 'post' }),
  'json body': (fetch, url) => fetch(`${url}/echo`, { method: 'POST', body: '{"a":"ü"}', headers: { 'content-type': 'application/json' } }),
  'text body': (fetch, url) => fetch(`${url}/echo`, { method: 'POST', body: 'ü' }),
  'URLSearchParams body': (fetch, url) => fetch(`${url}/echo`, { method: 'PUT', body: new URLSearchParams({ a: 'b c' }) }),
  'blob body': (fetch, url) => fetch(`${url}/echo`, { method: 'POST', body: new Blob(['x'], { type: 'text/x' }) }),
  'stream body': (fetch, url) =>
    fetch(`${url}/echo`, { method: 'POST', body: stream('a', 'b'), duplex: 'half', headers: { 'content-type': 'text/x' } }),
  'stream body without duplex': (fetch, url) => fetch(`${url}/echo`, { method: 'POST', body: stream('a') }),
  'form body': async (fetch, url) =>
    (await (await fetch(`${url}/echo`, { method: 'POST', body: form() })).json()).body.includes('name="a"\r\n\r\nü'),
  'a get with a body': (fetch, url) => fetch(`${url}/echo`, { body: 'x' }),
  'a header that is none': (fetch, url) => fetch(`${url}/echo`, { headers: { 'a b': 'x' } }),
  'a method that is none': (fetch, url) => fetch(`${url}/echo`, { method: 'a b' }),
  'credentials in the URL': (fetch, url) => fetch(`${url.replace('//', '//a:b@')}/echo`),
  'a URL that is none': (fetch) => fetch('http://'),
  'a path alone': (fetch) => fetch('/api/v2/x'),
  nothing: (fetch) => fetch(),
  'redirect follow': (fetch, url) => fetch(`${url}/302`),
  'redirect follow, relative': (fetch, url) => fetch(`${url}/303`),
  'redirect of a post': (fetch, url) => fetch(`${url}/302`, { method: 'POST', body: 'x' }),
  'redirect 307 of a post': (fetch, url) => fetch(`${url}/307`, { method: 'POST', body: 'x' }),
  'redirect manual': (fetch, url) => fetch(`${url}/302`, { redirect: 'manual' }),
  'redirect error': (fetch, url) => fetch(`${url}/302`, { redirect: 'error' }),
  'redirects without end': (fetch, url) => fetch(`${url}/loop`),
  abort: (fetch, url, arrival) => fetch(`${url}/slow`, { signal: abortedAt(arrival()) }),
  'abort with a reason': (fetch, url, arrival) => fetch(`${url}/slow`, { signal: abortedAt(arrival(), new RangeError('mine')) }),
  'abort before': (fetch, url) => fetch(`${url}/json`, { signal: AbortSignal.abort(new RangeError('mine')) }),
  'abort of a Request': (fetch, url, arrival) => fetch(new Request(`${url}/slow`, { signal: abortedAt(arrival()) })),
  'a signal of the init before that of the Request': (fetch, url) =>
    fetch(new Request(`${url}/json`, { signal: AbortSignal.abort() }), { signal: new AbortController().signal }),
  'AbortSignal.timeout': (fetch, url) => fetch(`${url}/slow`, { signal: AbortSignal.timeout(TIMEOUT_MS) }),
  'a cut connection': (fetch, url) => fetch(`${url}/cut`, { method: 'POST' }),
}

async function seen(promise, url) {
  const [outcome, value] = await promise.then(
    (value) => ['resolved', value],
    (error) => ['rejected', error],
  )
  // Words of TypeErrors are the platform's own, but for the one of the network.
  if (outcome === 'rejected')
    return { outcome, name: value.name, message: value.name === 'RangeError' || value.message === 'fetch failed' ? value.message : '' }
  if (!(value instanceof Response)) return { outcome, value }
  const { status, statusText, ok, redirected, type } = value
  return {
    outcome,
    status,
    statusText,
    ok,
    redirected,
    type,
    url: value.url.replace(url, ''),
    headers: without(VOLATILE, Object.fromEntries(value.headers)),
    text: await value.text(),
  }
}

describe("the same programs with Node's own fetch", () => {
  for (const [name, program] of Object.entries(CASES)) {
    it(name, async (t) => {
      const { url, requests, arrival } = await server(t)
      const sender = await openWithToken(t, url, { retry: { maxAttempts: 1 } })
      const results = []
      for (const fetch of [globalThis.fetch, createFetch(sender)]) {
        requests.length = 0
        const outcome = await seen(program(fetch, url, arrival), url)
        const arrived = requests.map(({ method, url, headers, body }) => {
          const isForm = headers['content-type']?.includes('boundary')
          return {
            method,
            url,
            body: isForm ? '' : body,
            headers: without([...SENT_OTHERWISE, 'cache-control', 'pragma', isForm ? 'content-type' : ''], headers),
          }
        })
        results.push({ outcome, arrived })
      }
      assert.deepEqual(results[1], results[0])
    })
  }
})

describe('createFetch', () => {
  it('keeps the budget, pauses, and tries again', async (t) => {
    const script = [
      { request: 1, status: 503 },
      { request: 2, status: 429 },
    ]
    const simulator = await simulate(t, { quota: { requests: 10, perMs: 100 }, script, headers: 'none', retryAfter: 'zero' })
    const sender = await open(t, simulator, { rateLimit: { requests: 10, perMs: 100 } })
    const fetch = createFetch(sender)
    const responses = await Promise.all(Array.from({ length: 30 }, () => fetch(`${simulator.url}/api/v2/users/me`)))
    assert.deepEqual(new Set(responses.map(({ status }) => status)), new Set([200]))
    assert.equal(simulator.ledger().statuses[429], 1)
  })

  it('gives the token of the sender to its own API alone; other hosts get what they were given', async (t) => {
    const [mine, foreign] = [await echo(t), await echo(t)]
    const sender = await openWithToken(t, mine.url)
    const passed = []
    const fetch = createFetch(sender, { fetch: (...args) => (passed.push(args), globalThis.fetch(...args)) })
    const init = { headers: { Authorization: 'Bearer of-the-program' } }
    assert.equal((await (await fetch(`${mine.url}/x`)).json()).headers.authorization, 'Bearer of-the-sender')
    for (const own of [init, { headers: [['AUTHORIZATION', 'Basic x']] }]) {
      const error = await failure(fetch(`${mine.url}/x`, own))
      assert.ok(error instanceof TypeError)
      assert.deepEqual([error.cause.name, error.cause.field], ['ConfigError', 'headers.authorization'])
      assert.doesNotMatch(error.message, /of-the-program|Basic/)
      assert.ok((await failure(fetch(new Request(`${mine.url}/x`, own)))) instanceof TypeError)
    }
    assert.equal((await (await fetch(`${foreign.url}/x`, init)).json()).headers.authorization, 'Bearer of-the-program')
    assert.equal(passed.length, 1)
    assert.equal(passed[0][1], init)
    await fetch(`${mine.url}/oauth/token`, { method: 'POST', headers: { Authorization: 'Basic x' } })
    assert.equal(mine.requests.at(-1).headers.authorization, 'Basic x')
    assert.equal(sender.stats().counters.requests, 1)
  })

  it('works as globalThis.fetch', async (t) => {
    const server = await echo(t)
    const other = await echo(t)
    const sender = await openWithToken(t, server.url)
    const own = globalThis.fetch
    globalThis.fetch = createFetch(sender)
    try {
      assert.equal((await (await fetch(`${server.url}/x`)).json()).headers.authorization, 'Bearer of-the-sender')
      assert.equal((await (await fetch(`${other.url}/x`)).json()).headers.authorization, undefined)
    } finally {
      globalThis.fetch = own
    }
  })

  it('takes a redirect to another host there, without secrets', async (t) => {
    const store = await echo(t)
    const server = await echo(t, (_got, response) => response.writeHead(302, { location: `${store.url}/file` }).end() && true)
    const sender = await openWithToken(t, server.url)
    const response = await createFetch(sender)(`${server.url}/download`, { headers: { Cookie: 'a=1', 'X-Mine': 'b' } })
    const clone = response.clone()
    const { url, headers } = await response.json()
    assert.deepEqual([url, headers.authorization, headers.cookie, headers['x-mine']], ['/file', undefined, undefined, 'b'])
    assert.deepEqual([response.redirected, response.url, clone.redirected], [true, `${store.url}/file`, true])
  })

  it('sends a stream again after a failure; refuses one that is too long to keep', async (t) => {
    let requests = 0
    const server = await echo(t, (_got, response) => {
      requests += 1
      if (requests === 1) response.writeHead(503).end()
      return requests === 1
    })
    const sender = await openWithToken(t, server.url)
    const fetch = createFetch(sender, { maxBodyBytes: 1_000 })
    const response = await fetch(`${server.url}/x`, { method: 'PUT', body: stream('once ', 'upon'), duplex: 'half' })
    assert.deepEqual([requests, (await response.json()).body], [2, 'once upon'])
    let cancelled = false
    const endless = new ReadableStream({
      pull: (controller) => controller.enqueue(Buffer.alloc(100)),
      cancel: () => void (cancelled = true),
    })
    const error = await failure(fetch(`${server.url}/x`, { method: 'PUT', body: endless, duplex: 'half' }))
    assert.equal(error.name, 'TypeError')
    assert.match(error.message, /^fetch failed: body must be at most 1000 bytes/)
    await until(() => cancelled)
    const broken = new ReadableStream({ pull: (controller) => controller.error(new Error('the disk failed')) })
    const failed = await failure(fetch(`${server.url}/x`, { method: 'PUT', body: broken, duplex: 'half' }))
    assert.deepEqual([failed.name, failed.cause.message], ['TypeError', 'the disk failed'])
    assert.equal(requests, 2)
  })

  it('an abort while the body is read, and in flight, which cuts it', async (t) => {
    let open = 0
    let closed = 0
    const { url } = await serve(t, (request, response) => {
      request.resume()
      open += 1
      response.on('close', () => (closed += 1))
      response.writeHead(200, { 'content-length': 100 }).write('half')
    })
    const sender = await openWithToken(t, url)
    const fetch = createFetch(sender)
    const controller = new AbortController()
    const pending = failure(fetch(`${url}/x`, { signal: controller.signal }))
    await until(() => open === 1)
    controller.abort()
    assert.equal((await pending).name, 'AbortError')
    await until(() => closed === 1)
    const stalled = new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from('half')) })
    const reason = new Error('enough')
    const error = await failure(fetch(`${url}/x`, { method: 'PUT', body: stalled, duplex: 'half', signal: abortedAt(delay(20), reason) }))
    assert.equal(error, reason)
    assert.equal(sender.stats().queue.messages, 0)
  })

  it('a huge answer, one that is cut, no server, and a closed sender', async (t) => {
    const { url } = await serve(t, (request, response) => {
      request.resume()
      if (request.url === '/huge') return response.end(Buffer.alloc(100_000))
      response.writeHead(200, { 'content-length': 100 })
      return response.write('half', () => response.destroy())
    })
    const sender = await openWithToken(t, url)
    const fetch = createFetch(sender, { maxResponseBytes: 50_000 })
    const huge = await failure(fetch(`${url}/huge`))
    assert.deepEqual([huge.name, huge.message, huge.cause.code], ['TypeError', 'fetch failed', 'DELIVERY_RESPONSE_TOO_LARGE'])
    // However much is allowed, an error's row has to fit a string.
    assert.equal(huge.cause.response.length, 8_192)
    const cut = await failure(fetch(`${url}/cut`))
    assert.deepEqual([cut.name, cut.message, cut.cause.code], ['TypeError', 'fetch failed', 'DELIVERY_EXHAUSTED'])
    await sender.close({ timeoutMs: 0 })
    const closed = await failure(fetch(`${url}/x`))
    assert.deepEqual([closed.name, closed.cause.code], ['TypeError', 'CLOSED'])
  })

  it('a body of bytes without a type is given one', async (t) => {
    const server = await echo(t)
    const sender = await openWithToken(t, server.url)
    const response = await createFetch(sender)(`${server.url}/x`, { method: 'POST', body: new Uint8Array([65]) })
    assert.equal((await response.json()).headers['content-type'], 'application/octet-stream')
  })

  it('the priority of a call', async (t) => {
    const order = []
    let release
    const held = new Promise((resolve) => (release = resolve))
    const server = await echo(t, async ({ url }) => {
      order.push(url)
      if (url === '/first') await held
    })
    const sender = await openWithToken(t, server.url, { connections: { max: 1 } })
    const fetch = createFetch(sender)
    const calls = [fetch(`${server.url}/first`)]
    await until(() => order.length === 1)
    for (const priority of ['low', 'auto', 'high']) calls.push(fetch(`${server.url}/${priority}`, { priority }))
    await until(() => sender.stats().queue.messages === 4)
    release()
    await Promise.all(calls)
    assert.deepEqual(order, ['/first', '/high', '/auto', '/low'])
  })
})

test('createFetch checks what it is given', async (t) => {
  const sender = await openWithToken(t, 'http://127.0.0.1:9')
  assert.throws(() => createFetch(), /sender must be a Sender/)
  assert.throws(() => createFetch(sender, { fetch: 1 }), /fetch must be a function/)
  assert.throws(() => createFetch(sender, { redirect: 'manual' }), /"redirect" is not a key of options/)
  await assert.rejects(createFetch(sender)('http://127.0.0.1:9/', { integrity: 'sha256-x' }), /integrity is not supported/)
})

/** A signal of a polyfill: no AbortSignal of this realm, and without reason and throwIfAborted where `reason` isn't given. */
function polyfilled(reason) {
  const target = new EventTarget()
  const signal = {
    aborted: false,
    addEventListener: target.addEventListener.bind(target),
    removeEventListener: target.removeEventListener.bind(target),
  }
  const abort = () => {
    signal.aborted = true
    if (reason !== undefined) signal.reason = reason
    target.dispatchEvent(new Event('abort'))
  }
  return { signal, abort }
}

describe('signals and Requests of any origin', () => {
  it("a polyfill's signal aborts before and in flight, in the init and in a Request", async (t) => {
    const { url, arrival } = await server(t)
    const fetch = createFetch(await openWithToken(t, url))
    for (const [reason, name] of [
      [undefined, 'AbortError'],
      [new RangeError('mine'), 'RangeError'],
    ]) {
      const early = polyfilled(reason)
      early.abort()
      assert.equal((await failure(fetch(`${url}/json`, { signal: early.signal }))).name, name)
      const late = polyfilled(reason)
      arrival().then(late.abort)
      assert.equal((await failure(fetch(`${url}/slow`, { signal: late.signal }))).name, name)
      const inRequest = polyfilled(reason)
      arrival().then(inRequest.abort)
      assert.equal((await failure(fetch({ url: `${url}/slow`, method: 'GET', headers: [], signal: inRequest.signal }))).name, name)
    }
    const { signal } = polyfilled()
    assert.equal((await fetch(`${url}/json`, { signal })).status, 200)
  })

  it('a signal of another realm', async (t) => {
    const { url, arrival } = await server(t)
    const fetch = createFetch(await openWithToken(t, url))
    const { runInNewContext } = require('node:vm')
    const { signal, abort } = polyfilled(7)
    const foreign = runInNewContext(
      '({ get aborted() { return signal.aborted }, get reason() { return signal.reason }, addEventListener: signal.addEventListener, removeEventListener: signal.removeEventListener })',
      { signal },
    )
    arrival().then(abort)
    assert.equal(await failure(fetch(`${url}/slow`, { signal: foreign })), 7)
  })

  it('a redirect to another host is cut by such a signal, and its body too', async (t) => {
    const store = await serve(t, (_request, response) => response.writeHead(200, { 'content-length': 100 }).write('half'))
    const from = await echo(t, (_got, response) => response.writeHead(302, { location: store.url }).end() && true)
    const { signal, abort } = polyfilled(new RangeError('mine'))
    const response = await createFetch(await openWithToken(t, from.url))(from.url, { signal })
    assert.equal(response.status, 200)
    abort()
    // Of the body of an answer Node's fetch names no reason.
    assert.match((await failure(response.text())).name, /^(?:AbortError|RangeError)$/)
  })

  it('a Request of another copy: its method, headers, body and redirect mode', async (t) => {
    const { url, requests } = await server(t)
    const fetch = createFetch(await openWithToken(t, url))
    class Foreign {
      constructor(...args) {
        const own = new Request(...args)
        for (const name of ['url', 'method', 'headers', 'body', 'bodyUsed', 'redirect', 'cache', 'integrity', 'signal']) {
          Object.defineProperty(this, name, { get: () => own[name] })
        }
      }
    }
    await fetch(new Foreign(`${url}/echo`, { method: 'PUT', body: 'text', headers: { 'X-Mine': 'a' } }))
    assert.deepEqual([requests[0].method, requests[0].body, requests[0].headers['x-mine']], ['PUT', 'text', 'a'])
    assert.equal((await fetch(new Foreign(`${url}/302`, { redirect: 'manual' }))).status, 302)
    const chunks = [Buffer.from('pol'), Buffer.from('yfill')]
    const reader = {
      read: async () => (chunks.length > 0 ? { done: false, value: chunks.shift() } : { done: true }),
      cancel: async () => {},
    }
    await fetch({ url: `${url}/echo`, method: 'POST', headers: new Map([['x-mine', 'b']]), body: { getReader: () => reader } })
    assert.deepEqual([requests.at(-1).body, requests.at(-1).headers['x-mine']], ['polyfill', 'b'])
    const used = await failure(fetch({ url: `${url}/echo`, method: 'POST', headers: [], body: null, bodyUsed: true }))
    assert.ok(used instanceof TypeError)
  })
})

describe('a body that is not read to its end', () => {
  const source = () => {
    const cancelled = {}
    cancelled.promise = new Promise((resolve) => (cancelled.resolve = resolve))
    const stream = new ReadableStream({ pull: (controller) => void controller.enqueue(Buffer.alloc(1_000)), cancel: cancelled.resolve })
    return { stream, cancelled: cancelled.promise }
  }

  it('is cancelled with the reason of the abort, before and while it is read', async (t) => {
    const { url, requests } = await server(t)
    const fetch = createFetch(await openWithToken(t, url))
    const reason = new RangeError('mine')
    for (const isBefore of [true, false]) {
      const { stream, cancelled } = source()
      const controller = new AbortController()
      if (isBefore) controller.abort(reason)
      const outcome = failure(fetch(`${url}/echo`, { method: 'POST', body: stream, duplex: 'half', signal: controller.signal }))
      controller.abort(reason)
      assert.deepEqual([await outcome, await cancelled], [reason, reason])
    }
    assert.equal(requests.length, 0)
  })

  it('is cancelled when it is too long, or the call is refused', async (t) => {
    const { url } = await server(t)
    const sender = await openWithToken(t, url)
    const [long, refused] = [source(), source()]
    assert.match(
      (await failure(createFetch(sender, { maxBodyBytes: 5_000 })(`${url}/echo`, { method: 'POST', body: long.stream, duplex: 'half' })))
        .message,
      /maxBodyBytes/,
    )
    await long.cancelled
    await failure(
      createFetch(sender)(`${url}/echo`, { method: 'POST', body: refused.stream, duplex: 'half', headers: { Authorization: 'x' } }),
    )
    await refused.cancelled
  })
})

describe('what createFetch refuses by name', () => {
  const REFUSED = { 'init.integrity': { integrity: 'sha256-x' }, 'init.dispatcher': { dispatcher: { dispatch() {} } } }
  for (const [field, init] of Object.entries(REFUSED)) {
    it(field, async (t) => {
      const { url, requests } = await server(t)
      const error = await failure(createFetch(await openWithToken(t, url))(`${url}/json`, init))
      assert.ok(error instanceof TypeError)
      assert.ok(error.message.startsWith(`fetch failed: ${field} `), error.message)
      assert.equal(error.cause.field, field)
      assert.equal(requests.length, 0)
    })
  }

  it('an answer of more than five content codings, where its body is read', async (t) => {
    const { url } = await serve(t, (_request, response) =>
      response.writeHead(200, { 'content-encoding': Array(6).fill('gzip').join() }).end('x'),
    )
    const response = await createFetch(await openWithToken(t, url))(url)
    const error = await failure(response.text())
    assert.deepEqual([response.status, error.name, error.cause.name], [200, 'TypeError', 'RangeError'])
  })
})
