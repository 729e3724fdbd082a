'use strict'

const assert = require('node:assert/strict')
const { after, beforeEach, test } = require('node:test')
const { Readable } = require('node:stream')

const { use } = require('../../lib/load.js')
const { cli, scratch, until } = require('./cli-io.js')
const { FakeSender, FakeWaker } = require('./fake-binding.js')

const STATS = {
  counters: { duplicates: 0 },
  queue: { messages: 0, waiting: 0 },
  budget: { available: 7 },
  pause: null,
  outage: null,
}

/** Delivers what it gets, the newest first; a body with `end` says otherwise. */
class DeliveringSender extends FakeSender {
  static open(settings, ...wakes) {
    const sender = new DeliveringSender(settings, ...wakes)
    FakeSender.opened.push(sender)
    return sender
  }

  answers = { close: () => ['ok', { undelivered: this.held }] }
  held = 0
  settling = []
  unsettled = 0
  unsettledMax = 0

  submit(frame) {
    super.submit(frame)
    for (const { ticket, id, body } of this.frames.pop()) {
      this.unsettledMax = Math.max(this.unsettledMax, ++this.unsettled)
      const { end } = JSON.parse(body)
      if (end === 'held') this.held++
      else if (this.settling.push({ ticket, id, end }) === 1) setImmediate(() => this.settle())
    }
  }

  settle() {
    for (const { ticket, id, end } of this.settling.splice(0).reverse()) {
      this.unsettled--
      this.complete(end === undefined ? [ticket, 'ok', { id }] : [ticket, 'err', { message: 'no', messageId: id, ...end }])
    }
  }

  stats() {
    return JSON.stringify(STATS)
  }
}

const env = { SPILLWAY_CLIENT_ID: 'id', SPILLWAY_CLIENT_SECRET: 'secret' }
const line = (id, end) => `${JSON.stringify({ id, conversationId: `c-${id}`, body: { text: 'a private text', end } })}\n`
const core = () => FakeSender.opened.at(-1)

const config = scratch({ after })('spillway.json', { organization: 'acme', store: 'memory' })

beforeEach(() => use({ NativeWaker: FakeWaker, NativeSender: DeliveringSender }))

test('messages of standard input and of a file are sent, the secret comes from the environment', async (t) => {
  const stdin = line('a') + line('b')
  for (const source of ['-', scratch(t)('messages', stdin)]) {
    const { code, stdout, stderr, listeners } = await cli(['send', source, '--config', config], { stdin, env })
    assert.equal(code, 0, stderr)
    assert.equal(listeners, 0)
    assert.match(stdout, /^messages +2\ndelivered +2\ndead letters +0\nnot delivered +0\n/)
    assert.match(stderr, /^spillway {2}\d+\.\d s {2}2\/2 {2}\d+\/s {2}budget 7 {2}queued 0\n$/)
    const credentials = { clientId: 'id', clientSecret: 'secret' }
    assert.deepEqual(core().settings, { organization: 'acme', store: 'memory', credentials })
  }
  await cli(['send', '-', '--config', config], { env: { SPILLWAY_ACCESS_TOKEN: 'token' } })
  assert.deepEqual(core().settings.credentials, { accessToken: 'token' })
})

test('dead letters are listed in the order of the input, without their texts, and fail the command', async () => {
  const stdin =
    line('a') +
    line('b', { code: 'DELIVERY_REJECTED', status: 400, response: 'a private text' }) +
    line('c', { code: 'EXPIRED' }) +
    line('d\u001b[31m', { code: 'DELIVERY_AMBIGUOUS', ambiguous: true })
  const { code, stdout } = await cli(['send', '-', '--config', config], { stdin, env })
  assert.equal(code, 1)
  assert.match(stdout, /dead letters +3\n/)
  assert.match(stdout, /\nid +conversation +reason +status\nb +c-b +rejected +400\nc +c-c +expired +-\n/)
  assert.match(stdout, /"d\\u001b\[31m" +"c-d\\u001b\[31m" +ambiguous +-\n/)
  assert.doesNotMatch(stdout, /private|\u001b/)

  const json = JSON.parse((await cli(['send', '-', '--config', config, '--json'], { stdin, env })).stdout)
  const { elapsedMs, ...rest } = json
  assert.deepEqual(rest, {
    messages: 4,
    delivered: 1,
    failed: 3,
    duplicates: 0,
    undelivered: 0,
    deadLetters: [
      { id: 'b', conversationId: 'c-b', reason: 'rejected', status: 400 },
      { id: 'c', conversationId: 'c-c', reason: 'expired', status: null },
      { id: 'd\u001b[31m', conversationId: 'c-d\u001b[31m', reason: 'ambiguous', status: null },
    ],
  })
  assert.equal(typeof elapsedMs, 'number')
})

test('a bad line ends the reading, is named, and what came before it is delivered', async () => {
  const table = [
    [`${line('a')}{"conversationId":7}\n${line('b')}`, 'standard input, line 2: conversationId must be a non-empty string'],
    [`${line('a')}\n{broken`, 'standard input, line 3: not valid JSON'],
    [`${line('a')}[]`, 'standard input, line 2: message must be an object, got an array'],
  ]
  for (const [stdin, message] of table) {
    const { code, stdout, stderr } = await cli(['send', '-', '--config', config], { stdin, env })
    assert.equal(code, 2)
    assert.match(stdout, /delivered +1\n/)
    assert.ok(stderr.includes(`spillway send: ${message}`), stderr)
  }
})

test('refused credentials end the command', async () => {
  const stdin = line('a', 'held') + line('b', { code: 'AUTH_REJECTED', message: 'invalid client' })
  const { code, stdout, stderr } = await cli(['send', '-', '--config', config], { stdin, env })
  assert.equal(code, 1)
  assert.match(stdout, /not delivered +1\n/)
  assert.match(stderr, /spillway send: invalid client\n$/)
})

test('Ctrl-C closes, and tells what is left', async () => {
  const endless = new Readable({ read() {} })
  endless.push(line('a') + line('b', 'held'))
  const opened = FakeSender.opened.length
  const begin = async ({ signals }) => {
    // One is settled, and it is known.
    await until(() => FakeSender.opened.at(opened)?.held === 1 && core().unsettled === 1 && core().completions.length === 0)
    signals.emit('SIGINT')
  }
  const { code, stdout, stderr, listeners } = await cli(['send', '-', '--config', config], { stdin: endless, env, begin })
  assert.equal(code, 130)
  assert.equal(listeners, 0)
  assert.match(stdout, /delivered +1\ndead letters +0\nnot delivered +1\n/)
  assert.match(stderr, /interrupted: 1 messages were not delivered\n$/)
  assert.equal(core().op('close').length, 1)
})

test('memory stays bounded: at most 10,000 messages are unsettled', async () => {
  const stdin = Readable.from(
    (function* () {
      for (let i = 0; i < 250; i++) yield Buffer.from(Array.from({ length: 100 }, (_, j) => line(`${i}-${j}`)).join(''))
    })(),
  )
  const { code, stdout } = await cli(['send', '-', '--config', config], { stdin, env })
  assert.equal(code, 0)
  assert.match(stdout, /delivered +25,000\n/)
  assert.ok(core().unsettledMax <= 10_000, `${core().unsettledMax}`)
})

test('outages are told', async () => {
  const endless = new Readable({ read() {} })
  const begin = async ({ signals, written }) => {
    await until(() => signals.listenerCount('SIGTERM') > 0)
    const tell = (outage) => core().complete([0, 'event', 'outage', outage])
    tell({ reason: 'breaker', message: 'too many 503', open: true })
    tell({ reason: 'breaker', message: '', open: false })
    tell({ reason: 'store', message: 'the damaged file is set aside at a.db.corrupt-1', open: false })
    await until(() => written.stderr.includes('corrupt-1'))
    signals.emit('SIGTERM')
  }
  const { code, stderr } = await cli(['send', '-', '--config', config], { stdin: endless, env, begin })
  assert.equal(code, 130)
  assert.match(stderr, /outage \(breaker\): too many 503\n/)
  assert.match(stderr, /the outage \(breaker\) is over\n/)
  assert.match(stderr, /\nstore: the damaged file is set aside at a\.db\.corrupt-1\n/)
})

/** With three messages of an earlier run; one of them, and one of the input, are told as dead letters besides. */
class RecoveringSender extends DeliveringSender {
  static open(settings, ...wakes) {
    const sender = new RecoveringSender(settings, ...wakes)
    FakeSender.opened.push(sender)
    sender.answers.ready = () => ['ok', { recovered: 3 }]
    return sender
  }

  submit(frame) {
    super.submit(frame)
    const bury = (id) => {
      const letter = { id, conversationId: `c-${id}`, reason: 'rejected', status: 400, response: 'a private text' }
      this.complete([0, 'event', 'deadLetter', letter])
    }
    bury('a')
    bury('earlier')
    // Behind the promise that it settles, as with a message that is in the file and in the input.
    setTimeout(() => bury('b'), 20)
  }
}

test('dead letters of an earlier run are listed behind those of the input, each once, and fail the command', async (t) => {
  use({ NativeWaker: FakeWaker, NativeSender: RecoveringSender })
  const file = scratch(t)('spillway.json', { organization: 'acme', store: 'file:outbox.db' })
  const rejected = { code: 'DELIVERY_REJECTED', status: 400 }
  const stdin = new Readable({ read() {} })
  stdin.push(line('a', rejected) + line('b', rejected) + line('c'))
  setTimeout(() => stdin.push(null), 100)
  const { code, stdout } = await cli(['send', '-', '--config', file], { stdin, env })
  assert.equal(code, 1)
  assert.match(stdout, /^messages +3\nfrom an earlier run +3\ndelivered +1\ndead letters +3\n/)
  assert.match(stdout, /\na +c-a +rejected +400\nb +c-b +rejected +400\nearlier +c-earlier +rejected +400\n$/)
  assert.doesNotMatch(stdout, /private/)
})
