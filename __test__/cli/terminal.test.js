'use strict'

// Ids, texts and paths come from strangers. Whatever the command line prints of them, a terminal must not act on it: no control
// sequence (C0, C1, OSC), no bidi override, no line separator.

const assert = require('node:assert/strict')
const { writeFileSync } = require('node:fs')
const { join } = require('node:path')
const { it } = require('node:test')

const { directory, open, optionsFor, simulate } = require('../store/support.js')
const { run } = require('./support.js')

const LATER_MS = 3_600_000
const HOSTILE = {
  'C0 CSI': 'a\u001b[31mRED',
  'C0 OSC': 'b\u001b]0;title\u0007',
  'C1 CSI': 'c\u009b31mRED\u009b2J',
  'C1 OSC': 'd\u009d0;title\u009c',
  delete: 'e\u007f\u007f',
  'return and backspace': 'f\r\b\b',
  'bidi override': 'g\u202egnp.exe',
  'bidi isolate': 'h\u2066x\u2069',
  'bidi mark': 'i\u200f\u061c',
  'line separators': 'j\u2028x\u2029',
  'byte order mark': 'k\ufeff',
  'what is not seen': 'm\u200b\u00ad\u180e\u2060\ufff9',
  tags: 'l\u{e0041}\u{e007f}',
}
const UNSAFE =
  /[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/u

function assertSafe({ stdout, stderr }, what) {
  for (const text of [stdout, stderr]) {
    const [unsafe] = UNSAFE.exec(text) ?? []
    assert.equal(unsafe, undefined, `${what}: U+${unsafe?.codePointAt(0).toString(16)} in ${JSON.stringify(text)}`)
  }
}

it('no verb prints what a terminal acts on, as text or as JSON, and JSON stays what it is', async (t) => {
  const simulator = await simulate(t, { poisonText: 'a' })
  const file = join(directory(t), 'outbox.db')
  const sender = await open(t, optionsFor(simulator, file))
  const ids = Object.values(HOSTILE)
  for (const id of ids) await sender.send({ id, conversationId: 'x', body: { text: `a${id}` } }).catch(() => {})
  for (const id of ids) {
    await sender.enqueue({ id: `later-${id}`, conversationId: `of-${id}`, body: { text: id }, notBefore: Date.now() + LATER_MS })
  }
  await sender.close({ timeoutMs: 0 })

  const verbs = [['ls'], ['dead'], ['export'], ['stats'], ['check'], ['ls', '--bodies'], ['dead', '--bodies'], ['export', '--bodies']]
  for (const verb of verbs) {
    for (const flags of [[], ['--json']]) {
      const end = await run(['outbox', file, ...verb, ...flags])
      assert.equal(end.code, 0, `${verb}: ${end.stderr}`)
      assertSafe(end, [...verb, ...flags].join(' '))
    }
  }
  const dead = (await run(['outbox', file, 'dead', '--json', '--bodies'])).stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(dead.map(({ id }) => id).sort(), [...ids].sort())

  for (const [name, id] of Object.entries(HOSTILE).filter(([, id]) => !id.includes('\0'))) {
    for (const args of [
      ['show', id],
      ['show', id, '--json'],
      ['show', `${id}-no`],
      ['redrive', `${id}-no`],
      ['drop', id],
      ['drop', id],
    ]) {
      assertSafe(await run(['outbox', file, ...args]), `${args[0]} ${name}`)
    }
    assertSafe(await run(['outbox', `${file}-${id}`, 'ls']), `the path ${name}`)
    assertSafe(await run([id]), `the command ${name}`)
    assertSafe(await run(['demo', `--${id}`]), `the option ${name}`)
  }
})

it('spillway send escapes what the input and the server say', async (t) => {
  const simulator = await simulate(t, { poisonText: 'a' })
  const folder = directory(t)
  const config = join(folder, 'spillway.json')
  const { credentials, ...options } = optionsFor(simulator, join(folder, 'send.db'))
  writeFileSync(config, JSON.stringify(options))
  const input = join(folder, 'in.jsonl')
  writeFileSync(
    input,
    Object.values(HOSTILE)
      .map((id) => `${JSON.stringify({ id, conversationId: id, body: { text: `a${id}` } })}\n`)
      .join(''),
  )
  const end = await run(['send', '--config', config, input], { env: { SPILLWAY_ACCESS_TOKEN: 'token' } })
  assert.equal(end.code, 1)
  assertSafe(end, 'send')
})
