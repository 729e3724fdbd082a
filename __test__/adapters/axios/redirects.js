'use strict'

// Programs that are redirected, within the API and to another host. What a callback sees is a part of the outcome.

const SECRETS = { Cookie: 'c=1', 'X-Api-Key': 'secret', 'X-Mine': 'a' }

/** The outcome, and what `beforeRedirect` saw. */
async function watched({ http }, path, config, change = () => {}) {
  const calls = []
  // Older versions give the options alone.
  const beforeRedirect = (options, { statusCode, headers = {} } = {}, request = undefined) => {
    const { method, protocol, hostname, port, path, href, pathname, search } = options
    const of = (headers) => Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]))
    calls.push([
      method,
      protocol,
      hostname,
      String(port),
      path,
      href,
      pathname,
      search,
      statusCode,
      headers.location,
      of(options.headers),
      request && { ...request, headers: of(request.headers) },
    ])
    change(options)
  }
  const result = await http.request({ url: path, ...config, beforeRedirect }).then(
    ({ data }) => data,
    ({ name, message, code }) => ({ name, message, code }),
  )
  return { calls, result }
}

const REDIRECTS = {
  'get 301': ({ http }) => http.get('/301'),
  'get 302': ({ http }) => http.get('/302', { headers: { 'X-Mine': 'a' } }),
  'get 300 with a location': ({ http }) => http.get('/to?300'),
  'get 305 with a location': ({ http }) => http.get('/to?305'),
  'get 399 with a location': ({ http }) => http.get('/to?399'),
  'get 201 with a location': ({ http }) => http.get('/created'),
  'head 302': ({ http }) => http.head('/302'),
  'head 303': ({ http }) => http.head('/303'),
  'post 301 becomes get': ({ http }) => http.post('/301', { a: 1 }),
  'post 302 becomes get': ({ http }) => http.post('/302', { a: 1 }),
  'put 302 stays': ({ http }) => http.put('/302', { a: 1 }),
  'put 303 becomes get': ({ http }) => http.put('/303', { a: 1 }),
  'post 307 stays': ({ http }) => http.post('/307', { a: 1 }),
  'post 308 stays': ({ http }) => http.post('/308', { a: 1 }),
  'headers of the body, when it goes': ({ http }) =>
    http.post('/303', 'text', { headers: { 'Content-Type': 'text/x', 'Content-Language': 'de', 'X-Mine': 'a' } }),
  'a stream 307': ({ http, Readable }) => http.post('/307', Readable.from(['a', 'b'])),
  'params are not kept': ({ http }) => http.get('/302', { params: { a: 1 } }),
  'responseType stream after a redirect': ({ http }) => http.get('/302', { responseType: 'stream' }),
  'a refusal after a redirect': ({ http }) => http.get('/to-404'),
  'an empty location': ({ http }) => http.get('/location-empty'),
  'a location that is no URL': ({ http }) => http.get('/location-broken'),
  'a location with spaces': ({ http }) => http.get('/location-spaces'),
  'a location without a scheme': ({ http }) => http.get('/location-host'),
  'a location that is data': ({ http }) => http.get('/location-data'),
  'a location that is a file': ({ http }) => http.get('/location-file'),
  'a location with a password': ({ http }) => http.get('/location-password'),
  'maxRedirects 0': ({ http }) => http.get('/302', { maxRedirects: 0 }),
  'maxRedirects 0, taken': ({ http }) => http.get('/302', { maxRedirects: 0, validateStatus: () => true }),
  'maxRedirects null': ({ http }) => http.get('/302', { maxRedirects: null }),
  'maxRedirects 1': ({ http }) => http.get('/302', { maxRedirects: 1 }),
  'maxRedirects below 0': ({ http }) => http.get('/302', { maxRedirects: -1 }),
  'too many redirects': ({ http }) => http.get('/loop', { maxRedirects: 3 }),
  'too many redirects by default': ({ http }) => http.get('/loop'),
  'secrets within the API': ({ http }) => http.get('/302', { headers: SECRETS, sensitiveHeaders: ['x-api-key'] }),
  'auth within the API': ({ http }) => http.get('/302', { auth: { username: 'a', password: 'b' } }),

  beforeRedirect: (context) => watched(context, '/302', { headers: { 'X-Mine': 'a' } }),
  'beforeRedirect of a post': (context) => watched(context, '/302', { method: 'post', data: { a: 1 } }),
  'beforeRedirect of a loop': (context) => watched(context, '/loop', { maxRedirects: 2 }),
  'beforeRedirect that adds a header': (context) =>
    watched(context, '/302', {}, ({ headers }) => {
      headers['X-Added'] = 'b'
    }),
  'beforeRedirect that takes a header away': (context) =>
    watched(context, '/302', { headers: { 'X-Mine': 'a' } }, ({ headers }) => {
      delete headers['X-Mine']
    }),
  'beforeRedirect that changes the path': (context) =>
    watched(context, '/302', {}, (options) => {
      options.path = '/echo/other?a=1'
    }),
  'beforeRedirect that changes the method': (context) =>
    watched(context, '/302', {}, (options) => {
      options.method = 'DELETE'
    }),
  'beforeRedirect that throws': (context) =>
    watched(context, '/302', {}, () => {
      throw new Error('not allowed')
    }),
  'beforeRedirect without a redirect': (context) => watched(context, '/json', {}),
  'beforeRedirect, and maxRedirects 0': (context) => watched(context, '/302', { maxRedirects: 0 }),
}

/** These end on another host, where the adapter hands over to axios. */
const AWAY = {
  away: ({ http }) => http.get('/away', { headers: { 'X-Mine': 'a' } }),
  'away, a post': ({ http }) => http.post('/away', { a: 1 }),
  'away, a post that stays': ({ http }) => http.post('/away-307', { a: 1 }),
  'away, with secrets': ({ http }) => http.get('/away', { headers: SECRETS }),
  'away, with auth': ({ http }) => http.get('/away', { auth: { username: 'a', password: 'b' } }),
  'away, sensitiveHeaders': ({ http }) => http.get('/away', { headers: SECRETS, sensitiveHeaders: ['x-API-key'] }),
  'away, sensitiveHeaders that are no list': ({ http }) => http.get('/away', { sensitiveHeaders: 'x-api-key' }),
  'away, sensitiveHeaders that are no names': ({ http }) => http.get('/away', { sensitiveHeaders: [1] }),
  'away, by beforeRedirect': (context) => watched(context, '/away', { headers: SECRETS, sensitiveHeaders: ['x-api-key'] }),
  'away, forbidden by beforeRedirect': (context) =>
    watched(context, '/away', {}, ({ hostname, port }) => {
      throw new Error(`not to ${hostname}, ${typeof port}`)
    }),
  'away, and on': ({ http }) => http.get('/away-loop', { maxRedirects: 3 }),
  'away, with the last redirect': ({ http }) => http.get('/away', { maxRedirects: 1 }),
  'away, a refusal': ({ http }) => http.get('/away-404'),
  'away, aborted': ({ http, arrival }) => {
    const controller = new AbortController()
    arrival()
      .then(() => arrival())
      .then(() => controller.abort())
    return http.get('/away-slow', { signal: controller.signal })
  },
}

module.exports = { AWAY, REDIRECTS }
