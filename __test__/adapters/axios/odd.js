'use strict'

// Programs with what is rarely given: odd locations, codings and names of a server, odd reasons and streams of a caller.

const { createReadStream } = require('node:fs')
const { Stream } = require('node:stream')

const OtherForm = require('form-data')

const LOCATIONS = ['utf8', 'latin1', 'query', 'fragment', 'relative', 'backslashes', 'percent', 'two', 'two-with-empty']
const CODINGS = ['constructor', '__proto__', 'gzip,', ',', 'gzip;q=1']
const thrown = (reason) => ({
  beforeRedirect() {
    throw reason
  },
})

/** A stream as before Node 0.10, which can't be iterated: `tell(stream)` is called when it flows. */
function oldStream(tell) {
  const stream = new Stream()
  stream.readable = true
  stream.resume = () => {}
  stream.pause = () => {}
  setImmediate(tell, stream)
  return stream
}

function formWithFile(path) {
  const form = new OtherForm()
  form.append('file', createReadStream(path))
  return form
}

const ODD = {
  ...Object.fromEntries(
    LOCATIONS.map((name) => [`a redirect to a location: ${name}`, ({ http }) => http.get(`/odd-location?${name}`, { maxRedirects: 3 })]),
  ),
  'a redirect of a post with a header content-mine': ({ http }) =>
    http.post('/303', 'text', { headers: { 'Content-Mine': 'a', 'Content-Location': '/b' } }),
  'beforeRedirect that throws null': ({ http }) => http.get('/302', thrown(null)),
  'beforeRedirect that throws text': ({ http }) => http.get('/302', thrown('not so')),
  ...Object.fromEntries(CODINGS.map((coding) => [`a coding: ${coding}`, ({ http }) => http.get(`/odd-coding?${coding}`)])),
  'headers named as members of an object': async ({ http }) =>
    Object.entries((await http.get('/members')).headers.toJSON()).filter(([, value]) => ['b', 'c', 'd'].includes(value)),
  'headers of several lines': async ({ http }) => {
    const { headers, data } = await http.get('/several')
    return [['content-type', 'etag', 'last-modified', 'retry-after', 'server', 'vary', 'x-own'].map((name) => headers[name]), data]
  },
  'an answer after an early hint': ({ http }) => http.get('/hinted'),
  'a status above 599': ({ http }) => http.get('/999'),
  'a status text of nothing': ({ http }) => http.get('/textless'),

  'an old stream': ({ http }) =>
    http.post(
      '/echo',
      oldStream((stream) => {
        stream.emit('data', 'a')
        stream.emit('end')
      }),
    ),
  'an old stream that fails': ({ http }) =>
    http.post(
      '/echo',
      oldStream((stream) => stream.emit('error', new Error('the disk failed'))),
    ),
  'a form of a package with a file': ({ http }) => http.post('/echo', formWithFile(__filename)).then(({ status }) => status),
  'a form of a package whose file is missing': ({ http }) =>
    http.post('/echo', formWithFile('/nonexistent')).catch(({ message, code }) => [message, code]),
  'a DataView as body': ({ http }) => http.post('/echo', new DataView(new Uint8Array([65, 66]).buffer, 1)),

  'a signal with a reason': ({ http }) => http.get('/json', { signal: AbortSignal.abort(new Error('mine')) }),
  'a signal that aborts in flight with null': async ({ http, arrival }) => {
    const controller = new AbortController()
    arrival().then(() => controller.abort(null))
    return http.get('/slow', { signal: controller.signal })
  },
  'a cancelToken that is canceled already': ({ http, axios }) => {
    const { token, cancel } = axios.CancelToken.source()
    cancel('mine')
    return http.get('/json', { cancelToken: token })
  },
  'a timeout as text': ({ http }) => http.get('/slow', { timeout: '50' }),
  'a timeout that is none': ({ http }) => http.get('/json', { timeout: 'soon' }),
  'maxRedirects as text': ({ http }) => http.get('/loop', { maxRedirects: '2' }),
  'maxContentLength as text': ({ http }) => http.get('/long', { maxContentLength: '100' }),
  'an address with a fragment': ({ http }) => http.get('/echo#part'),
  'an address beyond ASCII': ({ http }) => http.get('/echo/ü 名?q=é {}|^'),
  'an address with dots': ({ http }) => http.get('/echo/./a/../b'),
  'params of nothing': ({ http }) => http.get('/echo', { params: {} }),
  'params of all kinds': ({ http }) =>
    http.get('/echo', { params: { list: [1, 'a'], date: new Date(0), object: { a: 1 }, none: null, no: undefined, text: 'a b+c:$,[]' } }),
  'headers as a class of axios': ({ http, axios }) => http.get('/echo', { headers: new axios.AxiosHeaders({ 'X-A': 'b' }) }),
}

module.exports = { ODD }
