'use strict'

// The server of the axios comparison: its paths say how it answers.

const { EventEmitter, once } = require('node:events')
const { setTimeout: delay } = require('node:timers/promises')
const zlib = require('node:zlib')

const { answerJson, serve, textOf } = require('../http/support.js')

const BYTES = Buffer.from([0, 255, 128, 10, 13, 0xef, 0xbb, 0xbf])
const ZIPPED = '{"zipped":true}'
const GZIP = zlib.gzipSync(ZIPPED)

const ODD_LOCATIONS = {
  utf8: [Buffer.from('/echo/名前?q=ü', 'utf8').toString('latin1')],
  latin1: ['/echo/é'],
  query: ['?utf8'],
  fragment: ['#part'],
  relative: ['a/../echo/./b'],
  backslashes: ['/echo\\a\\b'],
  percent: ['/echo/100%'],
  two: ['/echo/a', '/echo/b'],
  'two-with-empty': ['', '/echo/b'],
}

const ROUTES = {
  '/json': (response) => answerJson(response, 200, { a: [1, null, 'ü'] }),
  '/text': (response) => response.writeHead(200, { 'content-type': 'text/plain' }).end('plain text'),
  '/json-as-text': (response) => response.writeHead(200, { 'content-type': 'text/plain' }).end('{"a":1}'),
  '/broken-json': (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"a":'),
  '/bom': (response) => response.end('\ufeff{"a":1}'),
  '/bytes': (response) => response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(BYTES),
  '/latin1': (response) => response.end(Buffer.from('gr\u00fc\u00dfe', 'latin1')),
  '/no-content': (response) => response.writeHead(204).end(),
  '/empty': (response) => response.writeHead(200).end(),
  '/created': (response) => answerJson(response, 201, { id: 1 }, { location: '/json' }),
  '/headers': (response) => {
    response.writeHead(
      200,
      [
        ['X-Two', 'a'],
        ['X-TWO', 'b'],
        ['Retry-After', '3'],
        ['X-Empty', ''],
      ].flat(),
    )
    response.end('x')
  },
  '/cookies': (response) => {
    const expires = 'Expires=Wed, 09 Jun 2100 10:18:14 GMT'
    response.writeHead(200, { 'set-cookie': [`a=1; Path=/; ${expires}`, 'b=2; HttpOnly', `c=3; ${expires}`, 'd=4, e=5; Path=/'] }).end('x')
  },
  '/cookie': (response) => response.writeHead(200, { 'set-cookie': 'a=1; Path=/' }).end('x'),
  '/latin1-header': (response) => response.writeHead(200, { 'x-name': 'M\u00fcller' }).end('x'),
  '/fine': (response) => response.writeHead(200, 'Quite Fine').end('x'),
  '/299': (response) => response.writeHead(299, 'Of Its Own').end('x'),
  '/205': (response) => response.writeHead(205).end(),
  '/gzip': (response) => encoded(response, 'gzip', GZIP),
  '/gzip-length': (response) => response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': GZIP.length }).end(GZIP),
  '/gzip-long': (response) => encoded(response, 'gzip', zlib.gzipSync('x'.repeat(10_000))),
  '/gzip-empty': (response) => encoded(response, 'gzip', ''),
  '/gzip-cut': (response) => encoded(response, 'gzip', GZIP.subarray(0, -8)),
  '/gzip-broken': (response) => encoded(response, 'gzip', 'not compressed at all'),
  '/gzip-404': (response) => response.writeHead(404, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end(GZIP),
  '/no-content-gzip': (response) => response.writeHead(204, { 'content-encoding': 'gzip' }).end(),
  '/GZIP': (response) => encoded(response, 'GZIP', GZIP),
  '/x-gzip': (response) => encoded(response, 'x-gzip', GZIP),
  '/compress': (response) => encoded(response, 'compress', GZIP),
  '/deflate': (response) => encoded(response, 'deflate', zlib.deflateSync(ZIPPED)),
  '/deflate-raw': (response) => encoded(response, 'deflate', zlib.deflateRawSync(ZIPPED)),
  '/br': (response) => encoded(response, 'br', zlib.brotliCompressSync(ZIPPED)),
  '/two-encodings': (response) => encoded(response, 'gzip, br', zlib.brotliCompressSync(GZIP)),
  '/unknown-encoding': (response) => encoded(response, 'rot13', '{"a":1}'),
  '/identity': (response) => encoded(response, 'identity', '{"a":1}'),
  '/chunked': (response) => {
    response.writeHead(200)
    response.write('half')
    response.end('half')
  },
  '/400': (response) => answerJson(response, 400, { message: 'bad', code: 'bad.request' }),
  '/403': (response) => answerJson(response, 403, { message: 'no' }),
  '/404': (response) => response.writeHead(404, { 'content-type': 'text/html' }).end('<p>none</p>'),
  '/404-long': (response) => response.writeHead(404).end('x'.repeat(200_000)),
  '/409': (response) => answerJson(response, 409, { message: 'conflict' }, { 'Retry-After': '9' }),
  '/500': (response) => answerJson(response, 500, { message: 'failed' }),
  '/418': (response) => response.writeHead(418).end('short and stout'),
  '/599': (response) => response.writeHead(599).end('late'),
  '/501': (response) => answerJson(response, 501, { message: 'never' }),
  '/503': (response) => answerJson(response, 503, { message: 'busy' }, { 'Retry-After': '0' }),
  '/301': (response, { url }) => redirect(response, 301, `/echo?from=${encodeURIComponent(url)}`),
  '/302': (response) => redirect(response, 302, '/echo'),
  '/303': (response) => redirect(response, 303, 'echo'),
  '/307': (response) => redirect(response, 307, '/echo'),
  '/308': (response) => redirect(response, 308, '/echo'),
  '/loop': (response) => redirect(response, 302, '/loop'),
  '/to': (response, { url }) => redirect(response, Number(url.split('?')[1]), '/echo'),
  '/to-404': (response) => redirect(response, 302, '/404'),
  '/to-long': (response) => redirect(response, 302, '/long'),
  '/to-slow': (response) => redirect(response, 302, '/slow'),
  '/location-empty': (response) => redirect(response, 302, ''),
  '/location-broken': (response) => redirect(response, 302, 'http://['),
  '/location-spaces': (response) => redirect(response, 302, '/echo/a b?c d'),
  '/location-host': (response, { headers }) => redirect(response, 302, `//${headers.host}/echo/host`),
  '/location-data': (response) => redirect(response, 302, 'data:application/json,{"forged":true}'),
  '/location-file': (response) => redirect(response, 302, 'file:///etc/hostname'),
  '/location-password': (response, { headers }) => redirect(response, 302, `http://a:b@${headers.host}/echo/password`),
  '/odd-location': (response, { url }) =>
    response
      .writeHead(
        302,
        ODD_LOCATIONS[url.split('?')[1]].flatMap((location) => ['Location', location]),
      )
      .end(),
  '/odd-coding': (response, { url }) => response.writeHead(200, { 'content-encoding': url.split('?')[1] }).end('as it came'),
  '/members': (response) =>
    response.writeHead(200, ['__proto__', 'a', 'constructor', 'b', 'hasOwnProperty', 'c', 'toString', 'd']).end('x'),
  '/several': (response) => {
    const names = ['Content-Type', 'ETag', 'Last-Modified', 'Retry-After', 'Server', 'Vary', 'X-Own']
    response
      .writeHead(
        200,
        names.flatMap((name) => [name, '1', name, '2']),
      )
      .end('[1]')
  },
  '/hinted': (response) => {
    response.writeEarlyHints({ link: '</a>; rel=preload' })
    response.writeHead(200, { 'x-a': 'b' }).end('x')
  },
  '/999': (response) => response.writeHead(999).end('x'),
  '/textless': (response) => response.writeHead(200, ' ').end('x'),
  '/away': (response, _got, away) => redirect(response, 302, `${away}/echo/away`),
  '/away-307': (response, _got, away) => redirect(response, 307, `${away}/echo/away`),
  '/away-404': (response, _got, away) => redirect(response, 302, `${away}/404`),
  '/away-loop': (response, _got, away) => redirect(response, 302, `${away}/loop`),
  '/away-slow': (response, _got, away) => redirect(response, 302, `${away}/slow`),
  '/304': (response) => response.writeHead(304, { etag: '"x"' }).end(),
  '/300': (response) => response.writeHead(300).end('choose'),
  '/slow': async (response) => {
    await delay(5_000, undefined, { ref: false })
    response.end('late')
  },
  '/etag': (response, { headers }) => {
    const isKnown = headers['if-none-match'] === '"x"'
    response.writeHead(isKnown ? 304 : 200, { etag: '"x"', 'cache-control': 'max-age=0' }).end(isKnown ? undefined : 'tagged')
  },
  '/modified': (response, { headers }) => {
    const modified = 'Wed, 21 Oct 2015 07:28:00 GMT'
    const isKnown = headers['if-modified-since'] !== undefined
    response.writeHead(isKnown ? 304 : 200, { 'last-modified': modified, 'cache-control': 'max-age=0' }).end(isKnown ? undefined : 'dated')
  },
  '/vary': (response, { headers }) => response.writeHead(200, { vary: 'Accept-Language' }).end(headers['accept-language']),
  '/no-store': (response) => response.writeHead(200, { 'cache-control': 'no-store' }).end('fresh'),
  '/once': (response, { nth }) => response.writeHead(nth === 1 ? 200 : 500, { 'cache-control': 'max-age=0' }).end(`time ${nth}`),
  '/slow-once': (response, got) => (got.nth === 1 ? ROUTES['/slow'](response) : response.end(`time ${got.nth}`)),
  '/cut-once': (response, { nth }) => (nth === 1 ? response.destroy() : response.end(`time ${nth}`)),
  '/long': (response) => response.end('x'.repeat(10_000)),
  '/cut': (response) => response.destroy(),
  '/cut-body': (response) => {
    response.writeHead(200, { 'content-length': 100 })
    response.write('half', () => response.destroy())
  },
}

function encoded(response, encoding, bytes) {
  response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': encoding }).end(bytes)
}

function redirect(response, status, location) {
  response.writeHead(status, { location }).end('moved')
}

/**
 * Serves them, and `/echo…`, which answers with what it got. `requests` is all that arrived, and `arrival()` resolves with
 * the next one. The redirects `/away…` lead to `away`, the URL of another such server.
 */
async function axiosServer(t, { away, requests = [], arrivals = new EventEmitter() } = {}) {
  const { url } = await serve(t, async (request, response) => {
    const got = { method: request.method, url: request.url, headers: request.headers, body: await textOf(request) }
    requests.push(got)
    const nth = requests.filter(({ url }) => url === got.url).length
    arrivals.emit('request', got)
    const route = ROUTES[request.url.split('?')[0]]
    if (route !== undefined) await route(response, { ...got, nth }, away)
    else answerJson(response, 200, { method: got.method, url: got.url, body: got.body })
  })
  return { url, requests, arrivals, arrival: () => once(arrivals, 'request') }
}

module.exports = { axiosServer }
