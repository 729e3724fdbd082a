'use strict'

// A secret or a message's text reaches no error, stack, event, number or log: canaries are looked for in everything that
// can be printed.

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const diagnostics = require('node:diagnostics_channel')
const fs = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { describe, it } = require('node:test')
const { inspect } = require('node:util')
const zlib = require('node:zlib')

const { Sender } = require('../../index.js')
const { until } = require('../until.js')
const { failure, open, optionsFor, record, simulate } = require('./support.js')

const SECRET = 'canary-secret-5b1d'
const TOKEN = 'canary-token-77aa'
const TEXT = 'canary-text-e03c'
const BASIC = Buffer.from(`client:${SECRET}`).toString('base64')
const CHANNELS = ['spillway:outage', 'spillway:request:end', 'spillway:throttled', 'spillway:message:dead-letter']
const EVENTS = ['delivered', 'deadLetter', 'throttled', 'resumed', 'quota', 'outage', 'drain']

const message = (id, more = {}) => ({ id, conversationId: 'c', body: { id, text: TEXT }, ...more })

/** Everything that a log could hold of a value. */
function printed(value) {
  const texts = [inspect(value, { depth: 12 }), String(value), value?.stack, value?.message, value?.cause?.stack]
  try {
    texts.push(JSON.stringify(value))
  } catch {}
  return texts.filter((text) => typeof text === 'string').join('\n')
}

function assertClean(...values) {
  for (const value of values) {
    const text = printed(value)
    for (const canary of [SECRET, TOKEN, TEXT, BASIC]) assert.ok(!text.includes(canary), `${canary} in ${text}`)
  }
}

/** All events of a sender, as they come. */
function listen(sender) {
  const events = []
  for (const name of EVENTS) sender.on(name, (...payload) => events.push([name, ...payload]))
  return events
}

it('when the login host refuses', async (t) => {
  const { url } = await record(t, (request, response) => {
    response.statusCode = 401
    response.end(JSON.stringify({ error: 'invalid_client', description: 'no such client' }))
  })
  const sender = await open(t, url, { credentials: { clientId: 'client', clientSecret: SECRET } })
  const events = listen(sender)
  const error = await failure(sender.send(message('m')))
  assert.equal(error.code, 'AUTH_REJECTED')
  const explanation = await sender.explain('m')
  assertClean(error, explanation, sender, sender.stats(), events)
  assert.ok(events.some(([name]) => name === 'outage'))
  const conflict = await failure(
    Sender.open({
      ...optionsFor(url),
      organization: sender.stats().organization,
      credentials: { clientId: 'client', clientSecret: `${SECRET}2` },
    }),
  )
  assertClean(conflict)
})

it('when messages fail in every way', async (t) => {
  const { url } = await record(t, (request, response) => {
    const [status] = /\d+$/.exec(request.headers['idempotency-key'] ?? '500')
    if (status === '0') request.socket.destroy()
    else response.writeHead(Number(status), { 'retry-after': '1' }).end('{"message":"a text of the server"}')
  })
  const sender = await open(t, url, {
    credentials: { accessToken: () => TOKEN },
    ordering: 'none',
    retry: { maxAttempts: 1, ambiguous: 'fail' },
  })
  const events = listen(sender)
  const errors = await Promise.all([
    ...['rejected-400', 'gone-404', 'down-503', 'cut-0'].map((id) => failure(sender.send(message(id)))),
    failure(sender.send(message('late', { expiresInMs: 1, notBefore: Date.now() + 60_000 }))),
    failure(sender.send(message('aborted', { notBefore: Date.now() + 60_000 }), { signal: AbortSignal.timeout(20) })),
    failure(sender.send({ ...message('bad'), conversationId: '..' })),
    failure(sender.send(TEXT)),
    failure(sender.send({ ...message('bad'), text: TEXT })),
    failure(sender.request({ method: 'POST', path: '/x', body: { text: TEXT }, headers: { 'x-key': SECRET } })),
  ])
  const letters = []
  for await (const letter of sender.deadLetters()) letters.push(letter)
  assert.equal(letters.length, 6)
  // A letter itself holds the body, to be sent again; nothing else of it may.
  assertClean(...errors, ...letters.map(({ body, ...letter }) => letter), sender, sender.stats(), await sender.explain('cut-0'))
  await until(() => events.filter(([name]) => name === 'deadLetter').length === 6)
  assertClean(events)
})

it('when a server repeats the text in its answer, the error shows it to who asks alone', async (t) => {
  const { url } = await record(t, (request, response) => response.writeHead(400).end(JSON.stringify({ message: `bad text: ${TEXT}` })))
  const sender = await open(t, url)
  const error = await failure(sender.send(message('m')))
  assertClean(error)
  assert.ok(inspect(error.response).includes(TEXT))
})

it('when accessToken throws, gives nonsense, or the API refuses its token', async (t) => {
  const { url } = await record(t, (request, response) => response.writeHead(401).end('{}'))
  const gives = [() => `${TOKEN}\r\nx: 1`, () => ({ TOKEN }), () => '', () => TOKEN, () => TOKEN, () => TOKEN]
  for (const give of gives) {
    const sender = await open(t, url, { credentials: { accessToken: give } })
    const events = listen(sender)
    const error = await failure(sender.send(message('m')))
    assert.equal(error.code, 'AUTH_REJECTED')
    assertClean(error, events, sender, sender.stats())
    await sender.close({ timeoutMs: 0 })
  }
  const fails = () => Promise.reject(Object.assign(new Error('vault is sealed'), { token: TOKEN }))
  const sender = await open(t, url, { credentials: { accessToken: fails } })
  const events = listen(sender)
  sender.send(message('waits')).catch(() => {})
  await until(() => events.some(([name]) => name === 'outage'))
  assertClean(events, sender, sender.stats(), await sender.explain('waits'))
})

it('on the command line', async (t) => {
  const simulator = await simulate(t, {
    authRequired: true,
    credentials: { clientId: 'client', clientSecret: 'another' },
    poisonText: 'poison',
  })
  const folder = fs.mkdtempSync(join(tmpdir(), 'spillway-secrets-'))
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }))
  const write = (name, text) => {
    fs.writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const options = {
    organization: 'cli',
    apiUrl: simulator.url,
    route: 'messaging',
    store: 'memory',
    rateLimit: { requests: 100, perMs: 1_000 },
  }
  const config = write('config.json', JSON.stringify(options))
  const good = write('good.jsonl', `${JSON.stringify(message('1'))}\n`)
  const token = { SPILLWAY_ACCESS_TOKEN: TOKEN }
  const client = { SPILLWAY_CLIENT_ID: 'client', SPILLWAY_CLIENT_SECRET: SECRET }
  const cases = [
    [['send', good, '--config', config], client, 1],
    [['send', good, '--config', config], { SPILLWAY_ACCESS_TOKEN: `${TOKEN}\u00fc` }, 2],
    [['send', write('bad.jsonl', `{"conversationId":"c","body":"${TEXT}"\n`), '--config', config], token, 2],
    [['send', write('key.jsonl', `{"conversationId":"c","body":{},"txt":"${TEXT}"}\n`), '--config', config], token, 2],
    [['send', write('none.jsonl', `"${TEXT}"\n`), '--config', config], token, 2],
    [
      [
        'send',
        good,
        '--config',
        write('leak.json', JSON.stringify({ ...options, credentials: { clientId: 'client', clientSecret: SECRET } })),
      ],
      client,
      2,
    ],
    [['send', good, '--config', write('text.json', JSON.stringify({ ...options, credentials: SECRET }))], client, 2],
    [['send', good, '--config', write('broken.json', `{"credentials":{"clientSecret":"${SECRET}"`)], client, 2],
  ]
  for (const [args, env, code] of cases) {
    const end = await cli(args, env)
    assert.equal(end.code, code, `${args.join(' ')}: ${end.stderr}`)
    assert.notEqual(end.stderr, '')
    assertClean(end.stdout, end.stderr)
  }
})

function cli(args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(__dirname, '../../bin/spillway.js'), ...args], {
      env: { ...process.env, ...env },
      timeout: 30_000,
    })
    const output = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (text) => (output[name] += text))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, ...output }))
  })
}

describe('in the place of another value', () => {
  const options = (more) => ({ ...optionsFor('http://127.0.0.1:9'), ...more })

  it('an option that is a URL shows no password and no query', async () => {
    const stores = [
      `redis://:${SECRET}@h`,
      `REDIS://:${SECRET}@h`,
      `valkey://u:${SECRET}/x@h`,
      `postgres://u:a?${SECRET}@h/db`,
      `file:/x/y.db?key=${SECRET}`,
    ]
    for (const store of stores) assertClean(await failure(Sender.open(options({ store }))))
    for (const url of [`https://u:${SECRET}@h/`, `https://h/?k=${SECRET}`, `u:${SECRET}@h`]) {
      assertClean(await failure(Sender.open(options({ apiUrl: url }))), await failure(Sender.open(options({ loginUrl: url }))))
    }
    assertClean(
      await failure(Sender.open(options({ region: SECRET.toUpperCase() }))),
      await failure(Sender.open(options({ region: TOKEN.repeat(2) }))),
    )
  })

  it('a path, a query and a header name show nothing of theirs', async (t) => {
    const { url } = await record(t, (request, response) => response.writeHead(400).end(JSON.stringify({ echo: TOKEN })))
    const sender = await open(t, url)
    const refuse = (request) => failure(sender.request({ method: 'GET', path: '/', ...request }))
    assertClean(
      await refuse({ path: `/x?access_token=${SECRET} y` }),
      await refuse({ path: `//u:${SECRET}@h/` }),
      await refuse({ path: `https://u:${SECRET}@h/` }),
      await refuse({ query: { name: `${SECRET}\ud800` } }),
      await refuse({ query: { name: [[SECRET]] } }),
      await refuse({ headers: { [`${SECRET} x`]: 'v' } }),
    )
    const error = await failure(sender.request({ method: 'POST', path: '/', body: { TEXT } }))
    assert.ok(!inspect(error, { showHidden: true, depth: 12 }).includes(TOKEN))
    assert.ok(inspect(error.response).includes(TOKEN))
  })
})

describe('when the login host repeats the secret', () => {
  // With what each encoding treats in its own way.
  const secret = `${SECRET}/+="\\&%41`
  const basic = Buffer.from(`client:${secret}`).toString('base64')
  const hex = Buffer.from(secret).toString('hex')
  const form = new URLSearchParams({ secret }).toString().slice('secret='.length)
  const encodings = {
    none: secret,
    'upper case': secret.toUpperCase(),
    URL: encodeURIComponent(secret),
    'URL, twice': encodeURIComponent(encodeURIComponent(secret)),
    form,
    percent: `%${hex.match(/../g).join('%')}`,
    hexadecimal: hex,
    Base64: Buffer.from(secret).toString('base64'),
    Base64URL: Buffer.from(secret).toString('base64url'),
    'basic authentication': basic,
    'basic authentication of a form': Buffer.from(`client:${form}`).toString('base64'),
    HTML: secret.replace(/./g, (character) => `&#${character.charCodeAt(0)};`),
    JSON: JSON.stringify(secret),
    'JSON escapes': secret.replace(/./g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`),
  }
  const answers = {
    JSON: (response, body) => response.writeHead(401).end(body),
    'compressed JSON': (response, body) => response.writeHead(401, { 'content-encoding': 'gzip' }).end(zlib.gzipSync(body)),
    'a text': (response, body, echo) => response.writeHead(401, { 'content-type': 'text/plain' }).end(echo),
    'its headers': (response, body, echo) => response.writeHead(401, { 'www-authenticate': `Basic realm=${echo}` }).end('{}'),
    'its status line': (response, body, echo) =>
      response.socket.end(`HTTP/1.1 401 ${echo}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`),
    'its fields': (response, body, echo) => response.writeHead(401).end(JSON.stringify({ error: echo, [echo]: echo })),
  }

  for (const [place, answer] of Object.entries(answers)) {
    it(`in ${place}, nothing that is told shows it in any encoding`, async (t) => {
      let echo
      const { url } = await record(t, (request, response) => {
        const description = `the client ${echo} is unknown`
        answer(response, JSON.stringify({ error: 'invalid_client', description }), echo)
      })
      const told = []
      const listener = (payload, channel) => told.push([channel, payload])
      for (const channel of CHANNELS) diagnostics.subscribe(channel, listener)
      t.after(() => CHANNELS.map((channel) => diagnostics.unsubscribe(channel, listener)))
      for (const [name, encoded] of Object.entries(encodings)) {
        echo = encoded
        const sender = await open(t, url, { credentials: { clientId: 'client', clientSecret: secret } })
        const events = listen(sender)
        const error = await failure(sender.send(message('m')))
        assert.equal(error.code, 'AUTH_REJECTED')
        // Nobody has asked for compression, and words that can't be read are not quoted.
        if (place === 'JSON') assert.match(error.message, /answered 401 invalid_client the client … is unknown/, name)
        await until(() => events.some(([event]) => event === 'outage'))
        const shown = [error, events, await sender.explain('m'), sender, sender.stats(), sender.metrics()].map(printed).join('\n')
        for (const [encoding, text] of Object.entries(encodings)) {
          assert.ok(!shown.includes(text) && !shown.includes(JSON.stringify(text).slice(1, -1)), `${encoding} of ${name} in ${shown}`)
        }
        assertClean(shown)
        await sender.close({ timeoutMs: 0 })
      }
      await until(() => told.filter(([channel]) => channel === 'spillway:outage').length === Object.keys(encodings).length)
      assertClean(told)
    })
  }
})
