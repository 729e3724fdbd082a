'use strict'

// Programs that read answers of every kind. Each is a function of an instance of axios, and of what it needs besides. See
// cases.js.

const asBytes = { responseType: 'arraybuffer' }

const ANSWERS = {
  json: ({ http }) => http.get('/json'),
  text: ({ http }) => http.get('/text'),
  'json that says text': ({ http }) => http.get('/json-as-text'),
  'broken json stays text': ({ http }) => http.get('/broken-json'),
  'broken json, strictly': ({ http }) => http.get('/broken-json', { responseType: 'json', transitional: { silentJSONParsing: false } }),
  'json, unparsed': ({ http }) => http.get('/json', { transitional: { forcedJSONParsing: false } }),
  parseReviver: ({ http }) => http.get('/json', { parseReviver: (key, value) => (key === '2' ? 'revived' : value) }),
  'a byte order mark': ({ http }) => http.get('/bom'),
  'responseType text': ({ http }) => http.get('/json', { responseType: 'text' }),
  'responseType json': ({ http }) => http.get('/json', { responseType: 'json' }),
  'responseType blob': ({ http }) => http.get('/bytes', { responseType: 'blob' }),
  'responseType document': ({ http }) => http.get('/text', { responseType: 'document' }),
  'responseType formdata': ({ http }) => http.get('/text', { responseType: 'formdata' }),
  'responseType arraybuffer': ({ http }) => http.get('/bytes', asBytes),
  'responseType arraybuffer, empty': ({ http }) => http.get('/empty', asBytes),
  'responseType stream': ({ http }) => http.get('/bytes', { responseType: 'stream' }),
  'responseType stream, compressed': ({ http }) => http.get('/gzip', { responseType: 'stream' }),
  'responseType stream, empty': ({ http }) => http.get('/empty', { responseType: 'stream' }),
  'responseType stream of a refusal': ({ http }) => http.get('/404', { responseType: 'stream' }),
  'responseEncoding latin1': ({ http }) => http.get('/latin1', { responseEncoding: 'latin1' }),
  'responseEncoding utf16le': ({ http }) => http.get('/bytes', { responseEncoding: 'utf16le' }),
  'responseEncoding base64': ({ http }) => http.get('/bytes', { responseEncoding: 'base64' }),
  'responseEncoding that is none': ({ http }) => http.get('/text', { responseEncoding: 'klingon' }),
  'bytes as text': ({ http }) => http.get('/bytes'),
  'no content': ({ http }) => http.delete('/no-content'),
  'no content, said to be compressed': ({ http }) => http.delete('/no-content-gzip'),
  empty: ({ http }) => http.get('/empty'),
  created: ({ http }) => http.post('/created', {}),
  'a status of its own': ({ http }) => http.get('/299'),
  'a status text of its own': ({ http }) => http.get('/fine'),
  'reset content': ({ http }) => http.get('/205'),
  headers: ({ http }) => http.get('/headers'),
  'a header in Latin-1': ({ http }) => http.get('/latin1-header'),
  'headers by their names': async ({ http }) => {
    const { headers } = await http.get('/headers')
    return [headers.get('Retry-After'), headers['retry-after'], headers.getContentType(), headers.has('x-none'), headers.toJSON()['x-two']]
  },
  cookies: ({ http }) => http.get('/cookies'),
  'a cookie': ({ http }) => http.get('/cookie'),
  head: ({ http }) => http.head('/json'),
  'head, compressed': ({ http }) => http.head('/gzip'),
  options: ({ http }) => http.options('/json'),

  gzip: ({ http }) => http.get('/gzip'),
  'x-gzip': ({ http }) => http.get('/x-gzip'),
  'gzip in capitals': ({ http }) => http.get('/GZIP'),
  compress: ({ http }) => http.get('/compress'),
  deflate: ({ http }) => http.get('/deflate'),
  'deflate without header': ({ http }) => http.get('/deflate-raw'),
  brotli: ({ http }) => http.get('/br'),
  'an encoding that nobody knows': ({ http }) => http.get('/unknown-encoding'),
  identity: ({ http }) => http.get('/identity'),
  'two encodings': ({ http }) => http.get('/two-encodings', asBytes),
  'gzip without bytes': ({ http }) => http.get('/gzip-empty'),
  'gzip without an end': ({ http }) => http.get('/gzip-cut'),
  'gzip that is none': ({ http }) => http.get('/gzip-broken'),
  'gzip of a refusal': ({ http }) => http.get('/gzip-404'),
  'gzip, not decompressed': ({ http }) => http.get('/gzip', { decompress: false, ...asBytes }),

  transformResponse: ({ http }) => http.get('/json', { transformResponse: [(data) => JSON.parse(data).a, (data) => [...data, 'end']] }),
  'transformResponse that throws': ({ http }) =>
    http.get('/json', {
      transformResponse: () => {
        throw new Error('not so')
      },
    }),
  'transformResponse of a refusal': ({ http }) => http.get('/400', { transformResponse: (data) => ({ was: data }) }),

  400: ({ http }) => http.post('/400', { a: 1 }),
  403: ({ http }) => http.get('/403'),
  '404 with text': ({ http }) => http.get('/404'),
  '404 with a long text': ({ http }) => http.get('/404-long'),
  409: ({ http }) => http.put('/409', {}),
  418: ({ http }) => http.get('/418'),
  500: ({ http }) => http.get('/500'),
  501: ({ http }) => http.get('/501'),
  503: ({ http }) => http.get('/503'),
  599: ({ http }) => http.get('/599'),
  304: ({ http }) => http.get('/304'),
  300: ({ http }) => http.get('/300'),
  'validateStatus takes a 404': ({ http }) => http.get('/404', { validateStatus: (status) => status === 404 }),
  'validateStatus takes a 500': ({ http }) => http.post('/500', {}, { validateStatus: () => true }),
  'validateStatus refuses a 200': ({ http }) => http.get('/json', { validateStatus: () => false }),
  'validateStatus null takes all': ({ http }) => http.get('/501', { validateStatus: null }),
  'validateStatus undefined': ({ http }) => http.get('/501', { validateStatus: undefined }),
  'what a refusal says as JSON': async ({ http }) => {
    const error = await http.get('/404', { headers: { 'X-Key': 'secret' }, redact: ['x-key'] }).catch((error) => error)
    const { stack, config, ...rest } = error.toJSON()
    return [rest, config.url, config.method, config.headers['X-Key'], typeof stack]
  },
}

module.exports = { ANSWERS }
