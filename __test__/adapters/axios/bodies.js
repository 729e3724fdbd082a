'use strict'

// Programs that send bodies of every kind. Each makes its own: streams and forms can be read once.

const { Readable } = require('node:stream')

const OtherForm = require('form-data')

const asIs = { transformRequest: (data) => data }

function form() {
  const form = new FormData()
  form.append('a', 'ü')
  form.append('lines', 'a\nb\rc\r\nd')
  form.append('file', new Blob(['content'], { type: 'text/x' }), 'na"me\n.txt')
  form.append('untyped', new Blob(['more']))
  return form
}

function formOfPackage() {
  const form = new OtherForm()
  form.append('a', 'ü')
  form.append('file', Buffer.from('content'), { filename: 'name.txt', contentType: 'text/x' })
  return form
}

/** A form of another realm or package: it has the shape of the platform's. */
class FormOfOtherRealm {
  #entries = []
  get [Symbol.toStringTag]() {
    return 'FormData'
  }
  append(name, value) {
    this.#entries.push([name, value])
  }
  entries() {
    return this.#entries.values()
  }
  [Symbol.iterator]() {
    return this.entries()
  }
}

function formOfOtherRealm() {
  const form = new FormOfOtherRealm()
  form.append('a', 'b')
  return form
}

const BODIES = {
  'json body': ({ http }) => http.post('/echo', { a: 'ü', b: [null] }),
  'an array as body': ({ http }) => http.put('/echo', [1, 2]),
  'text as body': ({ http }) => http.post('/echo', 'grüße'),
  'text as json body': ({ http }) => http.post('/echo', 'grüße', { headers: { 'Content-Type': 'application/json' } }),
  'an empty text as body': ({ http }) => http.post('/echo', ''),
  'no body': ({ http }) => http.post('/echo'),
  'null as body': ({ http }) => http.post('/echo', null),
  'a number as body': ({ http }) => http.post('/echo', 5),
  'zero as body': ({ http }) => http.post('/echo', 0),
  'false as body': ({ http }) => http.post('/echo', false),
  'true as json body': ({ http }) => http.post('/echo', true, { headers: { 'Content-Type': 'application/json' } }),
  'bytes as body': ({ http }) => http.post('/echo', Buffer.from('bytes')),
  'a typed array as body': ({ http }) => http.post('/echo', new Uint8Array([65, 66])),
  'an ArrayBuffer as body': ({ http }) => http.post('/echo', new Uint8Array([65, 66]).buffer),
  'URLSearchParams as body': ({ http }) => http.post('/echo', new URLSearchParams({ a: 'b c' })),
  'an object as urlencoded': ({ http }) =>
    http.post('/echo', { a: 'b c', d: [1] }, { headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }),
  'an object, untransformed': ({ http }) => http.post('/echo', { a: 1 }, asIs),
  'a date, untransformed': ({ http }) => http.post('/echo', new Date(0), asIs),
  'URLSearchParams, untransformed': ({ http }) => http.post('/echo', new URLSearchParams({ a: 'b' }), asIs),

  'a form': ({ http }) => http.post('/echo', form()),
  'a form with a boundary of the caller': ({ http }) =>
    http.post('/echo', form(), { headers: { 'Content-Type': 'multipart/form-data; boundary=of-the-caller' } }),
  'an empty form': ({ http }) => http.post('/echo', new FormData()),
  'a form of another realm': ({ http }) => http.post('/echo', formOfOtherRealm()),
  'a form as json': ({ http }) => http.post('/echo', form(), { headers: { 'Content-Type': 'application/json' } }),
  'a form of a package': ({ http }) => http.post('/echo', formOfPackage()),
  'a form of a package, its headers': ({ http }) => {
    const own = formOfPackage()
    return http.post('/echo', own, { headers: own.getHeaders({ 'X-Form': 'yes' }) })
  },
  'formDataHeaderPolicy content-only': ({ http }) => {
    const own = formOfPackage()
    const { getHeaders } = own
    own.getHeaders = () => ({ ...getHeaders.call(own), 'x-form': 'yes' })
    return http.post('/echo', own, { formDataHeaderPolicy: 'content-only' })
  },
  'formDataHeaderPolicy legacy': ({ http }) => {
    const own = formOfPackage()
    const { getHeaders } = own
    own.getHeaders = () => ({ ...getHeaders.call(own), 'x-form': 'yes' })
    return http.post('/echo', own)
  },
  postForm: ({ http }) => http.postForm('/echo', { a: 'b', list: [1, 2] }),
  putForm: ({ http }) => http.putForm('/echo', { a: 'b' }),
  patchForm: ({ http }) => http.patchForm('/echo', { a: 'b' }),
  formSerializer: ({ http }) => http.postForm('/echo', { a: { b: 1 }, list: [1] }, { formSerializer: { dots: true, indexes: true } }),
  'env.FormData': ({ http }) => http.postForm('/echo', { a: 'b' }, { env: { FormData } }),

  'a blob': ({ http }) => http.post('/echo', new Blob(['text'], { type: 'text/x' })),
  'a blob without a type': ({ http }) => http.post('/echo', new Blob(['text'])),
  'a blob with a type of the caller': ({ http }) => http.post('/echo', new Blob(['text']), { headers: { 'Content-Type': 'text/y' } }),
  'an empty blob': ({ http }) => http.post('/echo', new Blob([])),
  'a stream as body': ({ http }) => http.post('/echo', Readable.from([Buffer.from('a'), Buffer.from('b')])),
  'a stream of text': ({ http }) => http.post('/echo', Readable.from(['grü', 'ße'])),
  'an empty stream': ({ http }) => http.post('/echo', Readable.from([])),
  'a stream that fails': ({ http }) =>
    http.post(
      '/echo',
      Readable.from(
        (async function* () {
          yield 'a'
          throw new Error('the disk failed')
        })(),
      ),
    ),
  'a stream that somebody destroys': ({ http }) => {
    const stream = new Readable({ read() {} })
    stream.push('half')
    setImmediate(() => stream.destroy())
    return http.post('/echo', stream)
  },
  'a web stream': ({ http }) => http.post('/echo', new Blob(['text']).stream()),

  'a get with a body': ({ http }) => http.get('/echo', { data: { a: 1 } }),
  'a delete with a body': ({ http }) => http.delete('/echo', { data: { a: 1 } }),
  patch: ({ http }) => http.patch('/echo', { a: 1 }),

  'maxBodyLength, not reached': ({ http }) => http.post('/echo', 'x'.repeat(100), { maxBodyLength: 100 }),
  maxBodyLength: ({ http }) => http.post('/echo', 'x'.repeat(101), { maxBodyLength: 100 }),
  'maxBodyLength of a stream': ({ http }) => http.post('/echo', Readable.from(['x'.repeat(60), 'x'.repeat(60)]), { maxBodyLength: 100 }),
  'maxBodyLength of a form': ({ http }) => http.post('/echo', form(), { maxBodyLength: 10 }),
  'maxBodyLength of a blob': ({ http }) => http.post('/echo', new Blob(['x'.repeat(101)]), { maxBodyLength: 100 }),
  'maxBodyLength, unlimited': ({ http }) => http.post('/echo', 'x'.repeat(101), { maxBodyLength: -1 }),
  'maxBodyLength, infinite': ({ http }) => http.post('/echo', 'x'.repeat(101), { maxBodyLength: Infinity }),
}

module.exports = { BODIES }
