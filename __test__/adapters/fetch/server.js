'use strict'

// The server of the fetch comparison. What it answers is in the query of the request.

const { EventEmitter, once } = require('node:events')
const zlib = require('node:zlib')

const { answerJson, serve, textOf } = require('../../http/support.js')

const CODERS = {
  gzip: zlib.gzipSync,
  'x-gzip': zlib.gzipSync,
  GZIP: zlib.gzipSync,
  deflate: zlib.deflateSync,
  raw: zlib.deflateRawSync,
  br: zlib.brotliCompressSync,
}

const ROUTES = {
  '/status': (response, query) => {
    response.writeHead(Number(query.get('is')), query.get('text') ?? undefined, { 'x-a': 'b' }).end(query.get('body') ?? '')
  },
  '/header': (response, query) => response.writeHead(200, { 'x-value': query.get('is') }).end('x'),
  '/cookies': (response, query) => response.writeHead(200, { 'set-cookie': query.getAll('is') }).end('x'),
  '/twice': (response) =>
    response
      .writeHead(
        200,
        [
          ['X-Two', 'a, b'],
          ['x-two', 'c'],
          ['Vary', 'a'],
          ['vary', 'b'],
        ].flat(),
      )
      .end('x'),
  // `as` is what the header says, `by` what was really done.
  '/coded': (response, query) => {
    let body = Buffer.from('what it was')
    for (const coder of query.getAll('by')) body = CODERS[coder](body)
    response.writeHead(200, { 'content-encoding': query.get('as') }).end(body)
  },
  '/broken-gzip': (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('no gzip at all'),
  '/to': (response, query) => {
    response.writeHead(Number(query.get('by')), { location: query.get('is') }).end('moved')
  },
  '/to-two': (response) => response.writeHead(302, ['Location', '/echo/a', 'Location', '/echo/b']).end(),
  '/members': (response) =>
    response.writeHead(200, ['__proto__', 'a', 'constructor', 'b', 'hasOwnProperty', 'c', 'toString', 'd']).end('x'),
  '/hinted': (response) => {
    response.writeEarlyHints({ link: '</a>; rel=preload' })
    response.writeHead(200, { 'x-a': 'b' }).end('x')
  },
  '/trailers': (response) => {
    response.writeHead(200, { trailer: 'x-late' }).write('x')
    response.addTrailers({ 'x-late': 'a' })
    response.end()
  },
  '/nowhere': (response, query) => response.writeHead(Number(query.get('by'))).end('no location'),
  '/never': () => {},
  '/stalls': (response) => response.writeHead(200, { 'content-length': 1_000 }).write('begun'),
  '/cut-body': (response) => {
    response.writeHead(200, { 'content-length': 100 })
    response.write('half', () => response.destroy())
  },
  '/cut': (response) => response.destroy(),
  '/json': (response) => answerJson(response, 200, { a: [1, null, 'ü'] }),
  '/not-found': (response) => answerJson(response, 404, { message: 'none' }),
  '/busy': (response) => answerJson(response, 418, { message: 'busy' }),
}

/** `requests` is all that arrived, and `arrival()` resolves with the next one. */
async function fetchServer(t) {
  const requests = []
  const arrivals = new EventEmitter()
  const { url } = await serve(t, async (request, response) => {
    const got = { method: request.method, url: request.url, headers: request.headers, body: await textOf(request) }
    requests.push(got)
    arrivals.emit('request')
    const { pathname, searchParams } = new URL(request.url, 'http://host')
    const route = ROUTES[pathname]
    if (route === undefined) return answerJson(response, 200, got)
    return route(response, searchParams)
  })
  return { url, requests, arrival: () => once(arrivals, 'request') }
}

module.exports = { fetchServer }
