'use strict'

// The server of the axios comparison: its paths say how it answers.

const { EventEmitter, once } = require('node:events')
const { setTimeout: delay } = require('node:timers/promises')
const zlib = require('node:zlib')

const { answerJson, serve, textOf } = require('../http/support.js')

const BYTES = Buffer.from([0, 255, 128, 10, 13, 0xef, 0xbb, 0xbf])

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
    response.writeHead(200, [['X-Two', 'a'], ['X-TWO', 'b'], ['Retry-After', '3'], ['X-Empty', '']].flat())
    response.end('x')
  },
  '/cookies': (response) => {
    const expires = 'Expires=Wed, 09 Jun 2100 10:18:14 GMT'
    response.writeHead(200, { 'set-cookie': [`a=1; Path=/; ${expires}`, 'b=2; HttpOnly', `c=3; ${expires}`] }).end('x')
  },
  '/gzip': (response) => encoded(response, 'gzip', zlib.gzipSync('{"zipped":true}')),
  '/deflate': (response) => encoded(response, 'deflate', zlib.deflateSync('{"zipped":true}')),
  '/deflate-raw': (response) => encoded(response, 'deflate', zlib.deflateRawSync('{"zipped":true}')),
  '/br': (response) => encoded(response, 'br', zlib.brotliCompressSync('{"zipped":true}')),
  '/400': (response) => answerJson(response, 400, { message: 'bad', code: 'bad.request' }),
  '/403': (response) => answerJson(response, 403, { message: 'no' }),
  '/404': (response) => response.writeHead(404, { 'content-type': 'text/html' }).end('<p>none</p>'),
  '/404-long': (response) => response.writeHead(404).end('x'.repeat(200_000)),
  '/409': (response) => answerJson(response, 409, { message: 'conflict' }, { 'Retry-After': '9' }),
  '/500': (response) => answerJson(response, 500, { message: 'failed' }),
  '/501': (response) => answerJson(response, 501, { message: 'never' }),
  '/503': (response) => answerJson(response, 503, { message: 'busy' }, { 'Retry-After': '0' }),
  '/301': (response, { url }) => redirect(response, 301, `/echo?from=${encodeURIComponent(url)}`),
  '/302': (response) => redirect(response, 302, '/echo'),
  '/303': (response) => redirect(response, 303, 'echo'),
  '/307': (response) => redirect(response, 307, '/echo'),
  '/308': (response) => redirect(response, 308, '/echo'),
  '/loop': (response) => redirect(response, 302, '/loop'),
  '/304': (response) => response.writeHead(304, { etag: '"x"' }).end(),
  '/300': (response) => response.writeHead(300).end('choose'),
  '/slow': async (response) => {
    await delay(5_000, undefined, { ref: false })
    response.end('late')
  },
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
 * the next one.
 */
async function axiosServer(t) {
  const requests = []
  const arrivals = new EventEmitter()
  const { url } = await serve(t, async (request, response) => {
    const got = { method: request.method, url: request.url, headers: request.headers, body: await textOf(request) }
    requests.push(got)
    arrivals.emit('request', got)
    const route = ROUTES[request.url.split('?')[0]]
    if (route !== undefined) await route(response, got)
    else answerJson(response, 200, { method: got.method, url: got.url, body: got.body })
  })
  return { url, requests, arrival: () => once(arrivals, 'request') }
}

module.exports = { axiosServer }
