'use strict'

// A message whose text is damaged: it is not sent, and each run reports it until it is taken out of the file.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const { join } = require('node:path')
const { test } = require('node:test')

const { directory, message, optionsFor, Sender, simulate } = require('./support.js')

const PAGE = 4_096
const COMMAND = join(__dirname, '..', '..', 'bin', 'spillway.js')

/** Changes a letter in a page that the text of this message fills. */
function damage(file, letter) {
  const bytes = fs.readFileSync(file)
  const isFull = (at) => bytes.subarray(at + 4, at + PAGE).every((byte) => byte === letter.charCodeAt(0))
  const page = Array.from({ length: bytes.length / PAGE }, (_, number) => number * PAGE).find(isFull)
  bytes[page + 100] = 'x'.charCodeAt(0)
  fs.writeFileSync(file, bytes)
}

test('a message that cannot be read is reported by each run, until it is marked as sent', async (t) => {
  const simulator = await simulate(t)
  const file = join(directory(t), 'outbox.db')
  const options = optionsFor(simulator, file)
  const nowhere = 'http://127.0.0.1:9'
  const first = await Sender.open({ ...options, apiUrl: nowhere, loginUrl: nowhere })
  for (const [seq, letter] of ['a', 'b', 'c'].entries()) {
    const body = { ...message(letter, `c-${letter}`, seq).body, text: letter.repeat(3 * PAGE) }
    await first.enqueue({ id: letter, conversationId: `c-${letter}`, body })
  }
  await first.close({ timeoutMs: 0 })
  damage(file, 'b')

  const run = async () => {
    const sender = await Sender.open(options)
    const reported = []
    sender.on('deadLetter', ({ id, reason }) => reported.push(`${id} ${reason}`))
    await sender.drain()
    const { unreadable, setAside } = sender.stats().store
    await sender.close()
    return { reported, unreadable, setAside }
  }
  for (let runs = 0; runs < 2; runs++) {
    assert.deepEqual(await run(), { reported: ['b unreadable'], unreadable: 1, setAside: null })
  }
  assert.equal(simulator.ledger().uniqueIds, 2)
  const verb = ['outbox', file, 'mark-sent', '--until', String(Date.now())]
  const marked = spawnSync(process.execPath, [COMMAND, ...verb], { encoding: 'utf8' })
  assert.equal(marked.status, 0, marked.stderr)
  assert.deepEqual(await run(), { reported: [], unreadable: 0, setAside: null })
})
