'use strict'

// Programs with axios, each a function of an instance, and of what resolves when its next request has arrived. Run with axios' own http adapter and with ours they must give the
// same. Every one begins with its own data: streams and forms can be read once.

const { Readable } = require('node:stream')

const axios = require('axios')

/** Time enough for a request to arrive before. */
const TIMEOUT_MS = 500

const abortedAt = (event, reason) => {
  const controller = new AbortController()
  event.then(() => controller.abort(reason))
  return controller.signal
}
const cancelledAt = (event, message) => {
  const source = axios.CancelToken.source()
  event.then(() => source.cancel(message))
  return source.token
}
const cancelled = (message) => {
  const source = axios.CancelToken.source()
  source.cancel(message)
  return source.token
}
function form() {
  const form = new FormData()
  form.append('a', 'ü')
  form.append('file', new Blob(['content'], { type: 'text/x' }), 'name.txt')
  return form
}

const CASES = {
  // Answers.
  'json': (http) => http.get('/json'),
  'text': (http) => http.get('/text'),
  'json that says text': (http) => http.get('/json-as-text'),
  'broken json stays text': (http) => http.get('/broken-json'),
  'broken json, strictly': (http) => http.get('/broken-json', { responseType: 'json', transitional: { silentJSONParsing: false } }),
  'a byte order mark': (http) => http.get('/bom'),
  'responseType text': (http) => http.get('/json', { responseType: 'text' }),
  'responseType json': (http) => http.get('/json', { responseType: 'json' }),
  'responseType arraybuffer': (http) => http.get('/bytes', { responseType: 'arraybuffer' }),
  'responseType stream': (http) => http.get('/bytes', { responseType: 'stream' }),
  'responseType stream, empty': (http) => http.get('/empty', { responseType: 'stream' }),
  'responseType stream of a refusal': (http) => http.get('/404', { responseType: 'stream' }),
  'responseEncoding latin1': (http) => http.get('/latin1', { responseEncoding: 'latin1' }),
  'bytes as text': (http) => http.get('/bytes'),
  'no content': (http) => http.delete('/no-content'),
  'empty': (http) => http.get('/empty'),
  'created': (http) => http.post('/created', {}),
  'headers': (http) => http.get('/headers'),
  'cookies': (http) => http.get('/cookies'),
  'head': (http) => http.head('/json'),
  'options': (http) => http.options('/json'),
  'gzip': (http) => http.get('/gzip'),
  'deflate': (http) => http.get('/deflate'),
  'deflate without header': (http) => http.get('/deflate-raw'),
  'brotli': (http) => http.get('/br'),
  'gzip, not decompressed': (http) => http.get('/gzip', { decompress: false, responseType: 'arraybuffer', headers: { 'Accept-Encoding': 'gzip' } }),
  'transformResponse': (http) => http.get('/json', { transformResponse: [(data) => JSON.parse(data).a, (data) => [...data, 'end']] }),
  'transformResponse that throws': (http) => http.get('/json', { transformResponse: () => { throw new Error('not so') } }),
  'transformResponse of a refusal': (http) => http.get('/400', { transformResponse: (data) => ({ was: data }) }),

  // Refusals.
  '400': (http) => http.post('/400', { a: 1 }),
  '403': (http) => http.get('/403'),
  '404 with text': (http) => http.get('/404'),
  '404 with a long text': (http) => http.get('/404-long'),
  '409': (http) => http.put('/409', {}),
  '500': (http) => http.get('/500'),
  '501': (http) => http.get('/501'),
  '503': (http) => http.get('/503'),
  '304': (http) => http.get('/304'),
  '300': (http) => http.get('/300'),
  'validateStatus takes a 404': (http) => http.get('/404', { validateStatus: (status) => status === 404 }),
  'validateStatus refuses a 200': (http) => http.get('/json', { validateStatus: () => false }),
  'validateStatus null takes all': (http) => http.get('/501', { validateStatus: null }),

  // Requests.
  'params': (http) => http.get('/echo', { params: { a: 'b c', list: [1, 2], deep: { x: 'ü' }, none: null, not: undefined, date: new Date(0) } }),
  'params beside a query and a fragment': (http) => http.get('/echo?a=1#part', { params: { b: ':$,+[]' } }),
  'paramsSerializer': (http) => http.get('/echo', { params: { a: [1, 2] }, paramsSerializer: { indexes: null } }),
  'URLSearchParams as params': (http) => http.get('/echo', { params: new URLSearchParams({ a: 'b c' }) }),
  'a path with what is special': (http) => http.get("/echo/a%2Fb/ü c/'(x)|y"),
  'an absolute URL': (http) => http.get(`${http.defaults.baseURL}/echo/absolute`),
  'a baseURL with a path': (http) => http.get('below', { baseURL: `${http.defaults.baseURL}/echo/` }),
  'json body': (http) => http.post('/echo', { a: 'ü', b: [null] }),
  'an array as body': (http) => http.put('/echo', [1, 2]),
  'text as body': (http) => http.post('/echo', 'grüße'),
  'text as json body': (http) => http.post('/echo', 'grüße', { headers: { 'Content-Type': 'application/json' } }),
  'an empty text as body': (http) => http.post('/echo', ''),
  'no body': (http) => http.post('/echo'),
  'null as body': (http) => http.post('/echo', null),
  'bytes as body': (http) => http.post('/echo', Buffer.from('bytes')),
  'a typed array as body': (http) => http.post('/echo', new Uint8Array([65, 66])),
  'an ArrayBuffer as body': (http) => http.post('/echo', new Uint8Array([65, 66]).buffer),
  'URLSearchParams as body': (http) => http.post('/echo', new URLSearchParams({ a: 'b c' })),
  'a form': (http) => http.post('/echo', form()),
  'postForm': (http) => http.postForm('/echo', { a: 'b', list: [1, 2] }),
  'an object as urlencoded': (http) => http.post('/echo', { a: 'b c', d: [1] }, { headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }),
  'a blob': (http) => http.post('/echo', new Blob(['text'], { type: 'text/x' })),
  'a stream as body': (http) => http.post('/echo', Readable.from([Buffer.from('a'), Buffer.from('b')])),
  'a get with a body': (http) => http.get('/echo', { data: { a: 1 } }),
  'a delete with a body': (http) => http.delete('/echo', { data: { a: 1 } }),
  'patch': (http) => http.patch('/echo', { a: 1 }),
  'headers of the call and of the instance': (http) => http.get('/echo', { headers: { 'X-Mine': 'a', Accept: 'text/plain', 'X-Not': undefined } }),
  'transformRequest': (http) => http.post('/echo', { a: 1 }, { transformRequest: [(data, headers) => (headers.set('X-T', '1'), JSON.stringify([data]))] }),

  // Redirects.
  'get 301': (http) => http.get('/301'),
  'get 302': (http) => http.get('/302', { headers: { 'X-Mine': 'a' } }),
  'post 301 becomes get': (http) => http.post('/301', { a: 1 }),
  'post 302 becomes get': (http) => http.post('/302', { a: 1 }),
  'put 302 stays': (http) => http.put('/302', { a: 1 }),
  'put 303 becomes get': (http) => http.put('/303', { a: 1 }),
  'post 307 stays': (http) => http.post('/307', { a: 1 }),
  'post 308 stays': (http) => http.post('/308', { a: 1 }),
  'maxRedirects 0': (http) => http.get('/302', { maxRedirects: 0 }),
  'too many redirects': (http) => http.get('/loop', { maxRedirects: 3 }),

  // Limits and interruptions.
  'maxContentLength, not reached': (http) => http.get('/long', { maxContentLength: 10_000 }),
  'maxContentLength': (http) => http.get('/long', { maxContentLength: 9_999 }),
  'maxBodyLength, not reached': (http) => http.post('/echo', 'x'.repeat(100), { maxBodyLength: 100 }),
  'maxBodyLength': (http) => http.post('/echo', 'x'.repeat(101), { maxBodyLength: 100 }),
  'timeout': (http) => http.get('/slow', { timeout: TIMEOUT_MS }),
  'timeout, its message': (http) => http.get('/slow', { timeout: TIMEOUT_MS, timeoutErrorMessage: 'too late' }),
  'timeout, its code': (http) => http.get('/slow', { timeout: TIMEOUT_MS, transitional: { clarifyTimeoutError: true } }),
  'timeout that is none': (http) => http.get('/json', { timeout: 'soon' }),
  'signal': (http, arrival) => http.get('/slow', { signal: abortedAt(arrival()) }),
  'signal with a reason': (http, arrival) => http.get('/slow', { signal: abortedAt(arrival(), new Error('mine')) }),
  'signal, aborted before': (http) => http.get('/json', { signal: AbortSignal.abort() }),
  'CancelToken': (http, arrival) => http.get('/slow', { cancelToken: cancelledAt(arrival(), 'no longer') }),
  'CancelToken, cancelled before': (http) => http.get('/json', { cancelToken: cancelled('never') }),
  'an interceptor that repairs': async (http) => {
    const own = axios.create(http.defaults)
    own.interceptors.response.use(undefined, ({ response }) => ({ ...response, data: 'repaired' }))
    return own.get('/404')
  },
  'an interceptor that changes the request': async (http) => {
    const own = axios.create(http.defaults)
    own.interceptors.request.use((config) => (config.headers.set('X-I', 'yes'), { ...config, url: '/echo/changed' }))
    return own.get('/json')
  },
}

module.exports = { CASES }
