'use strict'

// Programs that run through Node's fetch and through spillway/fetch. Each gets the fetch, the address of the server, and `arrival()`, which
// resolves when the next request has arrived. It gives a Response, or something of it.

const assert = require('node:assert/strict')

const query = (path, pairs) => `${path}?${new URLSearchParams(pairs)}`
const coded = (as, ...by) => query('/coded', [['as', as], ...by.map((coder) => ['by', coder])])
const to = (by, is) =>
  query('/to', [
    ['by', by],
    ['is', is],
  ])

/** A stream that reports its cancellation: `cancelled` resolves with the reason. */
function source(...chunks) {
  let cancel
  const cancelled = new Promise((resolve) => (cancel = resolve))
  const stream = new ReadableStream({
    pull(controller) {
      if (chunks.length > 0) controller.enqueue(Buffer.from(chunks.shift()))
    },
    cancel,
  })
  return { stream, cancelled }
}

function finite(...chunks) {
  return new ReadableStream({
    pull(controller) {
      if (chunks.length === 0) controller.close()
      else controller.enqueue(Buffer.from(chunks.shift()))
    },
  })
}

const reasonOf = (promise) =>
  promise.then(
    () => 'resolved',
    (reason) => (reason instanceof Error ? reason.name : reason),
  )
const post = { method: 'POST', body: 'x' }
const streamed = (body) => ({ method: 'POST', body, duplex: 'half', headers: { 'content-type': 'text/x' } })

async function abortedInFlight(fetch, url, arrival, reason) {
  const controller = new AbortController()
  arrival().then(() => controller.abort(reason))
  return reasonOf(fetch(`${url}/never`, { signal: controller.signal }))
}

const PROGRAMS = {
  // Answers
  'status 999': (fetch, url) => fetch(url + query('/status', { is: 999, body: 'x' })),
  'status 600': (fetch, url) => fetch(url + query('/status', { is: 600, body: 'x' })),
  'status 226': (fetch, url) => fetch(url + query('/status', { is: 226, body: 'x' })),
  'status 205': (fetch, url) => fetch(url + query('/status', { is: 205 })),
  'a clone of status 999': async (fetch, url) => (await fetch(url + query('/status', { is: 999, body: 'x' }))).clone(),
  'status text of the server': (fetch, url) => fetch(url + query('/status', { is: 200, text: 'Quite Right' })),
  'status text in Latin-1': (fetch, url) => fetch(url + query('/status', { is: 404, text: 'pas trouv\u00e9' })),
  'header in Latin-1': (fetch, url) => fetch(url + query('/header', { is: 'Zo\u00eb \u00e9' })),
  'header in UTF-8': (fetch, url) => fetch(url + query('/header', { is: Buffer.from('名前', 'utf8').toString('latin1') })),
  'headers of one name': async (fetch, url) =>
    [...(await fetch(`${url}/twice`)).headers].filter(([name]) => ['x-two', 'vary'].includes(name)),
  cookies: async (fetch, url) =>
    (
      await fetch(
        url +
          query('/cookies', [
            ['is', 'a=1; Expires=Wed, 09 Jun 2100 10:18:14 GMT'],
            ['is', 'b=2, c; Path=/'],
            ['is', 'd=, e=5; Path=/'],
            ['is', 'f='],
          ]),
      )
    ).headers.getSetCookie(),
  'cookies are no header of the list': async (fetch, url) =>
    [
      ...(
        await fetch(
          url +
            query('/cookies', [
              ['is', 'a=1'],
              ['is', 'b=2'],
            ]),
        )
      ).headers.keys(),
    ].filter((name) => name === 'set-cookie').length,
  'headers of an answer are immutable': async (fetch, url) => {
    const { headers } = await fetch(`${url}/json`)
    try {
      headers.set('x', 'y')
      return 'mutable'
    } catch (error) {
      return error.name
    }
  },
  'body is a stream that tees': async (fetch, url) => {
    const [one, other] = (await fetch(`${url}/json`)).body.tee()
    return [await new Response(one).text(), await new Response(other).text()]
  },
  'body is null without one': async (fetch, url) => [
    (await fetch(url + query('/status', { is: 204 }))).body,
    (await fetch(url, { method: 'HEAD' })).body,
  ],
  'a Response': async (fetch, url) => {
    const response = await fetch(`${url}/json`)
    return [
      response instanceof Response,
      response.clone() instanceof Response,
      Object.prototype.toString.call(response),
      String(response.type),
    ]
  },
  // Content codings
  gzip: (fetch, url) => fetch(url + coded('gzip', 'gzip')),
  'gzip in capitals': (fetch, url) => fetch(url + coded('GZip', 'gzip')),
  'x-gzip': (fetch, url) => fetch(url + coded('x-gzip', 'gzip')),
  'deflate without a header': (fetch, url) => fetch(url + coded('deflate', 'raw')),
  br: (fetch, url) => fetch(url + coded('br', 'br')),
  'gzip, br': (fetch, url) => fetch(url + coded('gzip, br', 'gzip', 'br')),
  'deflate,gzip': (fetch, url) => fetch(url + coded('deflate,gzip', 'deflate', 'gzip')),
  'gzip, gzip, gzip': (fetch, url) => fetch(url + coded('gzip, gzip, gzip', 'gzip', 'gzip', 'gzip')),
  'an unknown coding': (fetch, url) => fetch(url + coded('rot13')),
  compress: (fetch, url) =>
    fetch(url + coded('compress', 'gzip')).then(async (response) =>
      Buffer.from(await response.arrayBuffer())
        .subarray(0, 2)
        .toString('hex'),
    ),
  identity: (fetch, url) => fetch(url + coded('identity')),
  'a list with an unknown coding': async (fetch, url) =>
    Buffer.from(await (await fetch(url + coded('gzip, rot13', 'gzip'))).arrayBuffer())
      .subarray(0, 2)
      .toString('hex'),
  'no gzip at all': async (fetch, url) => {
    const response = await fetch(`${url}/broken-gzip`)
    return [response.status, await response.text().catch(({ name, message }) => [name, message])]
  },
  'HEAD of a coded answer': (fetch, url) => fetch(url + coded('gzip', 'gzip'), { method: 'HEAD' }),
  // Requests
  ...Object.fromEntries(
    ['delete', 'get', 'head', 'options', 'post', 'put', 'PURGE', 'PROPFIND', 'REPORT', 'M-SEARCH'].map((method) => [
      `method ${method}`,
      (fetch, url) => fetch(`${url}/echo`, { method }),
    ]),
  ),
  'method patch stays in lower case': (fetch, url) => fetch(`${url}/echo`, { method: 'patch', body: 'x' }),
  ...Object.fromEntries(
    ['CONNECT', 'trace', 'TRACK', 'a b', '', 'GET\r\n'].map((method) => [
      `method ${JSON.stringify(method)} is refused`,
      (fetch, url) => fetch(`${url}/echo`, { method }),
    ]),
  ),
  'a path of two slashes': (fetch, url) => fetch(`${url}//double//slash`),
  'a backslash in the query': (fetch, url) => fetch(`${url}/echo?a=b\\c`),
  'special characters in the address': (fetch, url) => fetch(`${url}/echo/{a}|[b]^\`ü 'x'?q={"a":"b c"}|^\`&e=é'#part`),
  'dots in the path': (fetch, url) => fetch(`${url}/a/./b/%2e%2e/c/..`),
  'a header in Latin-1 sent': (fetch, url) => fetch(`${url}/echo`, { headers: { 'x-mine': 'caf\u00e9' } }),
  'a header beyond Latin-1 is refused': (fetch, url) => fetch(`${url}/echo`, { headers: { 'x-mine': '名' } }),
  'a header with a line break is refused': (fetch, url) => fetch(`${url}/echo`, { headers: { 'x-mine': 'a\r\nb: c' } }),
  'a header of two values': (fetch, url) =>
    fetch(`${url}/echo`, {
      headers: [
        ['x-mine', 'a'],
        ['X-Mine', 'b'],
      ],
    }),
  'credentials in the address are refused': (fetch, url) => fetch(`${url.replace('//', '//a:b@')}/echo`),
  'a body with GET is refused': (fetch, url) => fetch(`${url}/echo`, { body: 'x' }),
  'cache no-store': (fetch, url) => fetch(`${url}/echo`, { cache: 'no-store' }),
  'cache no-cache': (fetch, url) => fetch(`${url}/echo`, { cache: 'no-cache' }),
  'cache reload': (fetch, url) => fetch(`${url}/echo`, { cache: 'reload' }),
  'cache of a Request': (fetch, url) => fetch(new Request(`${url}/echo`, { cache: 'no-store' })),
  referrer: (fetch, url) => fetch(`${url}/echo`, { referrer: 'http://elsewhere.example/page' }),
  'mode no-cors': (fetch, url) => fetch(`${url}/echo`, { mode: 'no-cors' }),
  'mode same-origin': (fetch, url) => fetch(`${url}/echo`, { mode: 'same-origin' }),
  'mode navigate is refused': (fetch, url) => fetch(`${url}/echo`, { mode: 'navigate' }),
  keepalive: (fetch, url) => fetch(`${url}/echo`, { ...post, keepalive: true }),
  'credentials include': (fetch, url) => fetch(`${url}/echo`, { credentials: 'include' }),
  'window null': (fetch, url) => fetch(`${url}/echo`, { window: null }),
  'duplex full is refused': (fetch, url) => fetch(`${url}/echo`, { ...post, duplex: 'full' }),
  'signal null': (fetch, url) => fetch(`${url}/echo`, { signal: null }),
  'a signal that is none': (fetch, url) => fetch(`${url}/echo`, { signal: {} }),
  'signal null takes away that of the Request': (fetch, url) =>
    fetch(new Request(`${url}/json`, { signal: AbortSignal.abort() }), { signal: null }),
  'an init with getters': (fetch, url) => {
    class Init {
      get method() {
        return 'PUT'
      }
    }
    return fetch(`${url}/echo`, new Init())
  },
  'an init that is none': (fetch, url) => fetch(`${url}/echo`, 'x'),
  'a Request is used once': async (fetch, url) => {
    const request = new Request(`${url}/echo`, post)
    await fetch(request)
    return [request.bodyUsed, await reasonOf(fetch(request))]
  },
  'a stream is used once': async (fetch, url) => {
    const body = finite('a')
    await fetch(`${url}/echo`, streamed(body))
    return reasonOf(fetch(`${url}/echo`, streamed(body)))
  },
  'a stream of text is refused': (fetch, url) =>
    fetch(`${url}/echo`, streamed(new ReadableStream({ start: (c) => (c.enqueue('text'), c.close()) }))).then(
      () => 'resolved',
      ({ name }) => name,
    ),
  'a stream that fails': async (fetch, url) => {
    const body = new ReadableStream({ start: (controller) => controller.error(new RangeError('mine')) })
    return fetch(`${url}/echo`, streamed(body))
  },
  'an async iterable as body': (fetch, url) =>
    fetch(
      `${url}/echo`,
      streamed(
        (async function* () {
          yield Buffer.from('a')
          yield Buffer.from('b')
        })(),
      ),
    ),
  'a body of bytes': (fetch, url) => fetch(`${url}/echo`, { method: 'POST', body: new Uint8Array([65]) }),
  'more than 64 headers': async (fetch, url) =>
    (await fetch(`${url}/echo`, { headers: Object.fromEntries(Array.from({ length: 70 }, (_, index) => [`x-${index}`, 'y'])) })).status,
  // Redirects
  ...Object.fromEntries(
    [301, 302, 303, 307, 308].flatMap((status) =>
      ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'].map((method) => [
        `${status} of ${method}`,
        (fetch, url) =>
          fetch(url + to(status, '/echo'), {
            method,
            body: ['GET', 'HEAD'].includes(method) ? undefined : 'x',
            headers: { 'x-mine': 'a', 'content-language': 'de' },
          }),
      ]),
    ),
  ),
  'redirects to redirects': (fetch, url) => fetch(url + to(302, to(307, to(301, '/echo#part')))),
  '20 redirects': (fetch, url) =>
    fetch(url + Array.from({ length: 20 }).reduce((target) => to(302, target), '/echo')).then(({ status, redirected }) => [
      status,
      redirected,
    ]),
  'redirects without end': (fetch, url) =>
    fetch(url + Array.from({ length: 21 }).reduce((target) => to(302, target), '/echo')).then(
      () => 'resolved',
      ({ name }) => name,
    ),
  ...Object.fromEntries(
    [
      'data:text/plain,x',
      'file:///etc/hostname',
      'javascript:1',
      'about:blank',
      'blob:nodedata:1',
      'ftp://127.0.0.1/',
      'http://[',
      'http://',
    ].map((location) => [`redirect to ${location}`, (fetch, url) => fetch(url + to(302, location))]),
  ),
  'redirect to credentials': (fetch, url) => fetch(url + to(302, 'http://a:b@127.0.0.1:1/')),
  'redirect without location': (fetch, url) => fetch(url + query('/nowhere', { by: 302 })),
  'redirect: manual': (fetch, url) => fetch(url + to(302, '/echo'), { redirect: 'manual' }),
  'redirect: error': (fetch, url) => fetch(url + to(302, '/echo'), { redirect: 'error' }),
  'redirect: error of a Request': (fetch, url) => fetch(new Request(url + to(302, '/echo'), { redirect: 'error' })),
  'redirect: follow in a Request, manual in the init': (fetch, url) => fetch(new Request(url + to(302, '/echo')), { redirect: 'manual' }),
  304: (fetch, url) => fetch(url + query('/status', { is: 304 })),
  300: (fetch, url) => fetch(url + query('/status', { is: 300, body: 'choose' })),
  'a stream of a 307': (fetch, url) => fetch(url + to(307, '/echo'), streamed(finite('a'))),
  // Aborts
  'aborted before': (fetch, url) => fetch(`${url}/json`, { signal: AbortSignal.abort() }),
  ...Object.fromEntries(
    [
      ['null', null],
      ['0', 0],
      ['false', false],
      ['empty text', ''],
      ['an object', { mine: true }],
    ].map(([name, reason]) => [
      `aborted before with ${name}`,
      (fetch, url) => reasonOf(fetch(`${url}/json`, { signal: AbortSignal.abort(reason) })),
    ]),
  ),
  ...Object.fromEntries(
    [
      ['nothing', undefined],
      ['null', null],
      ['text', 'mine'],
      ['an error', new RangeError('mine')],
    ].map(([name, reason]) => [`aborted in flight with ${name}`, (fetch, url, arrival) => abortedInFlight(fetch, url, arrival, reason)]),
  ),
  'aborted before, the stream is cancelled': async (fetch, url) => {
    const { stream, cancelled } = source('a')
    const outcome = await reasonOf(fetch(`${url}/echo`, { ...streamed(stream), signal: AbortSignal.abort('mine') }))
    return [outcome, await cancelled]
  },
  'AbortSignal.timeout': (fetch, url) => reasonOf(fetch(`${url}/never`, { signal: AbortSignal.timeout(300) })),
  'AbortSignal.any': async (fetch, url) => {
    const timeout = AbortSignal.timeout(300)
    const signal = AbortSignal.any?.([timeout, new AbortController().signal]) ?? timeout
    const reason = await reasonOf(fetch(`${url}/never`, { signal }))
    // Read to the end: `any` holds its sources weakly, and Node 20 never aborts for one that was collected.
    assert.ok(timeout.aborted)
    return reason
  },
  'aborted while the body is read': async (fetch, url) => {
    const controller = new AbortController()
    const response = await fetch(`${url}/stalls`, { signal: controller.signal }).catch(() => null)
    setTimeout(() => controller.abort(), 10)
    return response === null ? 'none' : reasonOf(response.text())
  },
  // Failures
  'a cut connection': async (fetch, url) =>
    fetch(`${url}/cut`, post).catch((error) => [error.constructor.name, error.message, error.cause instanceof Error]),
  'a cut body': async (fetch, url) => {
    const response = await fetch(`${url}/cut-body`).catch(({ message }) => message)
    return response instanceof Response ? [response.status, await reasonOf(response.text())] : response
  },
  'the code of a cut connection': (fetch, url) => fetch(`${url}/cut`, post).catch(({ cause }) => cause.code),
  // Options
  integrity: (fetch, url) => fetch(`${url}/json`, { integrity: 'sha256-xxx' }).catch(({ message, cause }) => [message, cause?.message]),
  'a dispatcher': (fetch, url) =>
    fetch(`${url}/json`, {
      dispatcher: {
        dispatch: () => {
          throw new RangeError('mine')
        },
      },
    }).catch(({ cause }) => cause.name),
  'an Authorization of the caller': (fetch, url) => fetch(`${url}/echo`, { headers: { Authorization: 'Bearer mine' } }),
  'headers that the platform adds': async (fetch, url) => {
    const { headers } = await (await fetch(`${url}/echo`)).json()
    return ['accept', 'accept-language', 'sec-fetch-mode', 'user-agent'].map((name) => headers[name])
  },
}

module.exports = { PROGRAMS }
