'use strict'

// What a server puts into the body of an answer arrives as JavaScript reads it, and ends nothing.

const assert = require('node:assert/strict')
const diagnostics = require('node:diagnostics_channel')
const { test } = require('node:test')

const { failure, message, open, serve, until } = require('./support.js')

const credentials = { accessToken: 'token' }
const CALL = { method: 'GET', path: '/call' }

const HOSTILE = [
  '{"text":"cut in an emoji \\ud83d"}',
  '{"\\udc00":"a key"}',
  '{"n":1e400,"m":-1e400,"tiny":1e-400}',
  '-0',
  '[9007199254740993,123456789012345678901234567890,0.1e1]',
  '{"a":1,"a":{"b":2}}',
  '{"__proto__":{"polluted":true},"constructor":1}',
  '['.repeat(20_000) + ']'.repeat(20_000),
  `${'{"a":'.repeat(5_000)}null${'}'.repeat(5_000)}`,
  '"\\u0000\\u2028"',
  '\ufeff{"a":"after a mark"}',
  Buffer.from('{"a":"\xff\xed\xa0\x80"}', 'latin1'),
  Buffer.from('\xff\xfe{\0}\0', 'latin1'),
  '\0',
  '',
  '   \n',
  ' {"a" : [ ] }\r\n',
  '{"a":1,}',
  "{'a':1}",
  '{"a":1} trailing',
  'NaN',
  '01',
  '"\t"',
  '1'.repeat(30_000),
  '<not json>',
].map((body) => Buffer.from(body))

/** The body as JavaScript reads it: JSON if it is JSON, else its text. */
function read(body) {
  const text = new TextDecoder().decode(body)
  if (text === '') return null
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** `depth` levels would be too many for `deepEqual`, which calls itself for each. */
function assertSame(actual, expected, what) {
  const levels = (value) => {
    let depth = 0
    while (typeof value === 'object' && value !== null && Object.values(value).length === 1)
      [value, depth] = [Object.values(value)[0], depth + 1]
    return [depth, value]
  }
  assert.deepEqual(levels(actual), levels(expected), what)
}

/** A server that answers with `status` and the body that the path names by its number. */
function answering(t, bodies, status = 200, type = 'application/json') {
  return serve(t, (request, response) => {
    request.resume()
    const number = Number(/\d+$/.exec(request.url)?.[0] ?? -1)
    response.writeHead(number < 0 ? 200 : status, { 'content-type': type })
    response.end(number < 0 ? '{}' : bodies[number])
  })
}

const what = (number) => `body ${number}: ${HOSTILE[number].toString('latin1', 0, 60)}`
const numbered = (number) => ({ id: `m${number}`, conversationId: `c/${number}`, body: {} })
const route = { path: '/{conversationId}' }

test('any body of a 2xx arrives in the receipt, in the event, and for request()', async (t) => {
  const { url } = await answering(t, HOSTILE)
  const sender = await open(t, url, { credentials, route })
  const heard = new Map()
  sender.on('delivered', ({ id, body }) => heard.set(id, body))
  const published = []
  const subscriber = ({ organization, id }) => organization === sender.stats().organization && published.push(id)
  diagnostics.subscribe('spillway:message:delivered', subscriber)
  t.after(() => diagnostics.unsubscribe('spillway:message:delivered', subscriber))
  for (const [number, body] of HOSTILE.entries()) {
    const expected = read(body)
    const receipt = await sender.send(numbered(number))
    assertSame(receipt.body, expected, what(number))
    const answer = await sender.request({ ...CALL, path: `/${number}` })
    assertSame(answer.body, expected, what(number))
    await until(() => heard.has(`m${number}`) && published.length > number)
    assertSame(heard.get(`m${number}`), expected, what(number))
  }
  assert.equal({}.polluted, undefined)
})

test('so does any body of a refusal: in the error, the event and the dead letter', async (t) => {
  const { url } = await answering(t, HOSTILE, 422)
  const sender = await open(t, url, { credentials, route })
  const heard = new Map()
  sender.on('deadLetter', ({ id, response }) => heard.set(id, response))
  const short = (body) => body.length <= 8_192
  for (const [number, body] of HOSTILE.entries()) {
    const expected = read(body)
    assertSame((await failure(sender.send(numbered(number)))).response, expected, what(number))
    assertSame((await failure(sender.request({ ...CALL, path: `/${number}` }))).response, expected, what(number))
    await until(() => heard.has(`m${number}`))
    assertSame(heard.get(`m${number}`), expected, what(number))
  }
  for await (const letter of sender.deadLetters()) {
    const number = Number(letter.id.slice(1))
    if (short(HOSTILE[number])) assertSame(letter.response, read(HOSTILE[number]), what(number))
    else assert.equal(letter.response.length, 8_192)
  }
})

test('a text of another type is not read as JSON', async (t) => {
  const { url } = await answering(t, [Buffer.from('{"a":1}')], 200, 'text/plain')
  const sender = await open(t, url, { credentials })
  assert.equal((await sender.request({ ...CALL, path: '/0' })).body, '{"a":1}')
})

test('bodies at random arrive as JavaScript reads them', async (t) => {
  let seed = 0x2545f491
  const random = (below) => (seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0) % below
  const PIECES = [
    '{',
    '}',
    '[',
    ']',
    '"',
    ':',
    ',',
    '\\',
    '\\u',
    'd83d',
    '\\udc00',
    'e400',
    '-',
    '0',
    '1',
    '.',
    'null',
    'true',
    ' ',
    '\n',
    '\0',
    '\x7f',
    'é',
    '\ufeff',
    '"a"',
    '"a":',
    '1,',
  ]
  const bodies = Array.from({ length: 2_000 }, () =>
    Buffer.from(Array.from({ length: random(8) }, () => PIECES[random(PIECES.length)]).join('')),
  )
  const { url } = await answering(t, bodies)
  const sender = await open(t, url, { credentials, route })
  const receipts = await Promise.all(bodies.map((_, number) => sender.send(numbered(number))))
  for (const [number, { body }] of receipts.entries())
    assert.deepEqual(body, read(bodies[number]), JSON.stringify(bodies[number].toString()))
})

test('more answers than the process has memory for wait for one another', async (t) => {
  const BYTES = 48 * 2 ** 20
  const body = Buffer.alloc(BYTES, 'a')
  const { url } = await answering(t, [body], 200, 'text/plain')
  const senders = [await open(t, url, { credentials }), await open(t, url, { credentials })]
  const asked = Array.from({ length: 8 }, async (_, number) => {
    const answer = await senders[number % 2].request({ ...CALL, path: '/0', maxResponseBytes: BYTES, timeoutMs: 600_000 })
    return answer.body.length
  })
  assert.deepEqual(new Set(await Promise.all(asked)), new Set([BYTES]))
})

test('messages are delivered while answers use up the memory', async (t) => {
  const { url } = await serve(t, (request, response) => {
    request.resume()
    if (request.method === 'POST') return response.end('{}')
    // An answer without end, of which more comes whenever it is read.
    const chunk = Buffer.alloc(2 ** 20, 'a')
    const write = () => {
      while (response.write(chunk)) if (response.destroyed) return
      response.once('drain', write)
    }
    write()
  })
  const large = await open(t, url, { credentials })
  const other = await open(t, url, { credentials })
  const ends = Array.from({ length: 6 }, () => failure(large.request({ ...CALL, maxResponseBytes: 64 * 2 ** 20, timeoutMs: 600_000 })))
  const receipts = await Promise.all(Array.from({ length: 50 }, (_, number) => other.send(message(`m${number}`))))
  assert.equal(receipts.length, 50)
  for (const error of await Promise.all(ends)) assert.equal(error.code, 'DELIVERY_RESPONSE_TOO_LARGE')
})
