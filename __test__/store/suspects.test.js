'use strict'

// A refusal that may be everybody's is held until other conversations tell. The process may end meanwhile: the next one
// finds the message in the file, and sends it as if it had not been refused.

const assert = require('node:assert/strict')
const { join } = require('node:path')
const { test } = require('node:test')

const { assertEnd, directory, message, open, optionsFor, simulate, start, until } = require('./support.js')

const pathOf = (conversation) => `/api/v2/messaging/conversations/${conversation}/messages`
const REFUSED = message('refused', 'c-1', 1)
const AWAITED = message('awaited', 'c-2', 1)
const OTHERS = [3, 4, 5].map((n) => message(`other-${n}`, `c-${n}`, 1))
const hangs = { kind: 'hang', paths: [pathOf('c-2')] }
const refuses = { kind: 'status', status: 403, paths: [pathOf('c-1')] }

/** A process that holds a suspect, and is ended by this signal. */
async function holdUntil(t, signal, config) {
  const simulator = await simulate(t, { ...config, outages: [hangs, refuses] })
  const options = optionsFor(simulator, join(directory(t), 'outbox.db'))
  const { child, first, ended } = start('suspect.js', { options, messages: [AWAITED, REFUSED] })
  await first
  child.kill(signal)
  const end = await ended
  assertEnd(end, signal === 'SIGKILL' ? { signal } : { code: 0 })
  const { messages, deadLetters } = JSON.parse(end.lines[0])
  assert.deepEqual({ messages, deadLetters }, { messages: 2, deadLetters: 0 }, 'it is held')
  assert.equal(simulator.ledger().statuses[403], 1)
  return { simulator, options }
}

for (const signal of ['SIGKILL', 'SIGTERM']) {
  test(`${signal}: the refusals are over, and everything is delivered once`, async (t) => {
    const { simulator, options } = await holdUntil(t, signal)
    await simulator.set({ outages: null })
    const sender = await open(t, options)
    await until(() => sender.stats().queue.messages === 0)
    assert.deepEqual(simulator.ledger({ ids: true }).ids, { awaited: 1, refused: 1 })
    assert.equal(sender.stats().queue.deadLetters, 0)
  })

  test(`${signal}: everybody is refused, and nothing is lost`, async (t) => {
    const { simulator, options } = await holdUntil(t, signal)
    // Two conversations alone could not tell: nothing leaves before the others are there, for want of a token.
    const everybody = { kind: 'status', status: 403 }
    await simulator.set({ outages: [everybody, { kind: 'status', status: 503, target: 'login' }] })
    const sender = await open(t, options)
    for (const other of OTHERS) await sender.enqueue(other)
    await simulator.set({ outages: [everybody] })
    await until(() => sender.stats().outage?.reason === 'refused')
    assert.deepEqual([sender.stats().queue.messages, sender.stats().queue.deadLetters], [5, 0])
    await simulator.set({ outages: null })
    await until(() => sender.stats().queue.messages === 0)
    const expected = Object.fromEntries([REFUSED, AWAITED, ...OTHERS].map(({ id }) => [id, 1]))
    assert.deepEqual(simulator.ledger({ ids: true }).ids, expected)
    assert.equal(sender.stats().queue.deadLetters, 0)
  })

  test(`${signal}: the refusal was its own, and it alone is a dead letter, once`, async (t) => {
    const { simulator, options } = await holdUntil(t, signal)
    await simulator.set({ outages: [refuses] })
    const sender = await open(t, { ...options, retry: { maxAttempts: 1 } })
    await until(() => sender.stats().queue.messages === 0)
    const letters = []
    for await (const letter of sender.deadLetters()) letters.push([letter.id, letter.reason, letter.status])
    assert.deepEqual(letters, [['refused', 'rejected', 403]])
    assert.deepEqual(simulator.ledger({ ids: true }).ids, { awaited: 1 })
  })
}
