'use strict'

// Programs that make requests of every kind: addresses, methods, headers.

const REQUESTS = {
  params: ({ http }) =>
    http.get('/echo', { params: { a: 'b c', list: [1, 2], deep: { x: 'ü' }, none: null, not: undefined, date: new Date(0) } }),
  'params beside a query and a fragment': ({ http }) => http.get('/echo?a=1#part', { params: { b: ':$,+[]' } }),
  'a fragment': ({ http }) => http.get('/echo#part'),
  paramsSerializer: ({ http }) => http.get('/echo', { params: { a: [1, 2] }, paramsSerializer: { indexes: null } }),
  'paramsSerializer, its encode': ({ http }) =>
    http.get('/echo', { params: { a: 'b c' }, paramsSerializer: { encode: (text) => `<${text}>` } }),
  'paramsSerializer, its serialize': ({ http }) =>
    http.get('/echo', { params: { a: 1 }, paramsSerializer: { serialize: (params) => Object.keys(params).join() } }),
  'paramsSerializer as a function': ({ http }) => http.get('/echo', { params: { a: 1 }, paramsSerializer: () => 'mine=1' }),
  'paramsSerializer that throws': ({ http }) =>
    http.get('/echo', {
      params: { a: 1 },
      paramsSerializer: () => {
        throw new Error('not so')
      },
    }),
  'URLSearchParams as params': ({ http }) => http.get('/echo', { params: new URLSearchParams({ a: 'b c' }) }),
  'a path with what is special': ({ http }) => http.get("/echo/a%2Fb/ü c/'(x)|y"),
  'an absolute URL': ({ http, url }) => http.get(`${url}/echo/absolute`),
  'an absolute URL, not allowed': ({ http, url }) => http.get(`${url}/echo/absolute`, { baseURL: `${url}/echo`, allowAbsoluteUrls: false }),
  'a URL that is none': ({ http }) => http.get('http://[', { baseURL: undefined }),
  'a URL without slashes': ({ http }) => http.get('http:echo', { baseURL: undefined }),
  'a baseURL with a path': ({ http, url }) => http.get('below', { baseURL: `${url}/echo/` }),
  'a baseURL alone': ({ http }) => http.get(undefined),

  'method in lower case': ({ http }) => http.request({ url: '/echo', method: 'patch', data: 'x' }),
  'method PROPFIND': ({ http }) => http.request({ url: '/echo', method: 'propfind', data: { a: 1 } }),
  'method LINK': ({ http }) => http.request({ url: '/echo', method: 'LINK' }),

  'headers of the call and of the instance': ({ http }) =>
    http.get('/echo', { headers: { 'X-Mine': 'a', Accept: 'text/plain', 'X-Not': undefined } }),
  'headers that are no text': ({ http }) =>
    http.get('/echo', { headers: { 'X-Number': 1, 'X-True': true, 'X-False': false, 'X-Null': null, 'X-List': ['a', 'b'] } }),
  'a header in Latin-1': ({ http }) => http.get('/echo', { headers: { 'X-Name': 'Müller' } }),
  'a header beyond Latin-1': ({ http }) => http.get('/echo', { headers: { 'X-Name': 'a€ 🙂b' } }),
  'a header with control characters': ({ http }) => http.get('/echo', { headers: { 'X-Name': ' \u0001a\tb\u007f ' } }),
  'a header with an empty value': ({ http }) => http.get('/echo', { headers: { 'X-Name': '' } }),
  'a header with a bad name': ({ http }) => http.get('/echo', { headers: { 'X Name': 'a' } }),
  'many headers': ({ http }) =>
    http.get('/echo', { headers: Object.fromEntries(Array.from({ length: 80 }, (_, n) => [`X-${n}`, `${n}`])) }),
  Cookie: ({ http }) => http.get('/echo', { headers: { Cookie: 'a=1; b=2' } }),
  'User-Agent of its own': ({ http }) => http.get('/echo', { headers: { 'User-Agent': 'mine/1' } }),
  'User-Agent null': ({ http }) => http.get('/echo', { headers: { 'User-Agent': null } }),
  'User-Agent false': ({ http }) => http.get('/echo', { headers: { 'User-Agent': false } }),
  'Accept null': ({ http }) => http.get('/echo', { headers: { Accept: null } }),
  'Accept-Encoding of its own': ({ http }) => http.get('/echo', { headers: { 'Accept-Encoding': 'br' } }),
  'Accept-Encoding null': ({ http }) => http.get('/echo', { headers: { 'Accept-Encoding': null } }),
  'Accept-Encoding, not decompressed': ({ http }) => http.get('/echo', { decompress: false }),
  'Host of the API': ({ http, url }) => http.get('/echo', { headers: { Host: new URL(url).host } }),
  'Host of its own': ({ http }) => http.get('/echo', { headers: { Host: 'example.org' } }),
  'TE of its own': ({ http }) => http.get('/echo', { headers: { TE: 'trailers' } }),
  'Proxy-Authorization of its own': ({ http }) => http.get('/echo', { headers: { 'Proxy-Authorization': 'Basic x' } }),
  'Authorization of its own': ({ http }) => http.get('/echo', { headers: { Authorization: 'Bearer mine' } }),
  auth: ({ http }) => http.get('/echo', { auth: { username: 'a', password: 'b' } }),
  'auth beside Authorization': ({ http }) => http.get('/echo', { auth: { username: 'a' }, headers: { Authorization: 'Bearer mine' } }),
  'a name and a password in the URL': ({ http, url }) => http.get('/echo', { baseURL: url.replace('//', '//a%40:b@') }),
  'xsrf, which is for browsers': ({ http }) =>
    http.get('/echo', { withXSRFToken: true, withCredentials: true, xsrfCookieName: 'x', xsrfHeaderName: 'X-X' }),

  transformRequest: ({ http }) =>
    http.post('/echo', { a: 1 }, { transformRequest: [(data, headers) => (headers.set('X-T', '1'), JSON.stringify([data]))] }),
  'transformRequest that throws': ({ http }) =>
    http.post(
      '/echo',
      { a: 1 },
      {
        transformRequest: () => {
          throw new Error('not so')
        },
      },
    ),
  'an interceptor that repairs': async ({ http, axios }) => {
    const own = axios.create(http.defaults)
    own.interceptors.response.use(undefined, ({ response }) => ({ ...response, data: 'repaired' }))
    return own.get('/404')
  },
  'an interceptor that changes the request': async ({ http, axios }) => {
    const own = axios.create(http.defaults)
    own.interceptors.request.use((config) => (config.headers.set('X-I', 'yes'), { ...config, url: '/echo/changed' }))
    return own.get('/json')
  },
  'an interceptor that calls again': async ({ http, axios }) => {
    const own = axios.create(http.defaults)
    own.interceptors.response.use(undefined, ({ config }) => http.request({ ...config, url: '/echo/again' }))
    return own.post('/400', { a: 1 })
  },

  'httpVersion 1': ({ http }) => http.get('/json', { httpVersion: 1 }),
  'httpVersion 3': ({ http }) => http.get('/json', { httpVersion: 3 }),
  'httpVersion that is none': ({ http }) => http.get('/json', { httpVersion: 'two' }),
  'proxy false': ({ http }) => http.get('/json', { proxy: false }),
  'an agent that tunes connections': ({ http, agent }) => http.get('/json', { httpAgent: agent }),
  'fetchOptions, which are for fetch': ({ http }) => http.get('/json', { fetchOptions: { cache: 'no-store' } }),
  'insecureHTTPParser false': ({ http }) => http.get('/json', { insecureHTTPParser: false }),
  'allowedSocketPaths without a socketPath': ({ http }) => http.get('/json', { allowedSocketPaths: ['/tmp/x'] }),
}

module.exports = { REQUESTS }
