'use strict'

// Dead letters: reading them, sending them again.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { answerJson, collect, ignore, open, serve, until } = require('./support.js')

const credentials = { accessToken: 'token' }

/** A sender whose messages all become dead letters, with so many of them: `l0`, `l1` and so on. */
async function withLetters(t, count) {
  const { url } = await serve(t, (request, response) => answerJson(response, 404, {}))
  const sender = await open(t, url, { credentials })
  for (let n = 0; n < count; n++) ignore(sender.send({ id: `l${n}`, conversationId: 'c', body: n }))
  await until(() => sender.stats().queue.deadLetters === count)
  return sender
}

test('all dead letters can be redriven while they are read, though all fail again', { timeout: 60_000 }, async (t) => {
  const count = 250
  const sender = await withLetters(t, count)
  const redriven = []
  for await (const letter of sender.deadLetters()) {
    redriven.push(letter.id)
    assert.ok(redriven.length <= count, 'a letter comes again')
    await sender.redrive(letter.id)
  }
  assert.deepEqual(
    redriven,
    Array.from({ length: count }, (_, n) => `l${n}`),
  )
  await until(() => sender.stats().queue.deadLetters === count)
  assert.equal((await collect(sender.deadLetters())).length, count)
})

test('letters that are gone are passed over', async (t) => {
  const sender = await withLetters(t, 210)
  const read = []
  for await (const { id } of sender.deadLetters()) {
    if (read.length === 0) for (let n = 100; n < 210; n++) if (n !== 150) await sender.drop(`l${n}`)
    read.push(id)
  }
  assert.deepEqual(read.slice(98), ['l98', 'l99', 'l150'])
})
