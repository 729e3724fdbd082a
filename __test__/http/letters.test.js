'use strict'

// Dead letters: reading them, sending them again.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { ConfigError } = require('../../index.js')
const { answerJson, collect, failure, ignore, message, open, serve, simulate, until } = require('./support.js')

const credentials = { accessToken: 'token' }

/** A sender whose messages all become dead letters, with so many of them: `l0`, `l1` and so on. */
async function withLetters(t, count) {
  const { url } = await serve(t, (request, response) => answerJson(response, 404, {}))
  const sender = await open(t, url, { credentials, retry: { maxAttempts: 1 } })
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

test('a filter redrives the casualties of a day with one call', async (t) => {
  const simulator = await simulate(t, { script: [1, 2, 3].map((request) => ({ request, status: request === 2 ? 422 : 400 })) })
  const sender = await open(t, simulator)
  for (const id of ['a', 'b', 'c']) await failure(sender.send(message(id, 'c')))
  assert.deepEqual(await sender.redrive({ reason: 'exhausted' }), { redriven: 0, full: 0, unsendable: 0 })
  assert.deepEqual(await sender.redrive({ since: new Date(Date.now() + 60_000) }), { redriven: 0, full: 0, unsendable: 0 })
  const delivered = []
  sender.on('delivered', ({ id }) => delivered.push(id))
  const filter = { reason: 'rejected', status: 400, since: Date.now() - 60_000 }
  assert.deepEqual(await sender.redrive(filter), { redriven: 2, full: 0, unsendable: 0 })
  await until(() => delivered.length === 2)
  assert.deepEqual(delivered, ['a', 'c'])
  assert.deepEqual(await sender.redrive({}), { redriven: 1, full: 0, unsendable: 0 })
  await until(() => delivered.length === 3)
  assert.deepEqual(await collect(sender.deadLetters()), [])
})

test('a filter redrives as many as the outbox has room for, and says how many it has not', async (t) => {
  const simulator = await simulate(t, { script: [1, 2, 3].map((request) => ({ request, status: 400 })) })
  const sender = await open(t, simulator, { queue: { maxMessages: 2 } })
  for (const id of ['a', 'b', 'c']) await failure(sender.send(message(id, 'c')))
  await sender.pause()
  assert.deepEqual(await sender.redrive({}), { redriven: 2, full: 1, unsendable: 0 })
  await sender.resume()
  await sender.drain()
  assert.deepEqual(await sender.redrive({}), { redriven: 1, full: 0, unsendable: 0 })
  await sender.drain()
  assert.equal(sender.stats().counters.delivered, 3)
})

for (const [filter, field] of [
  [{ reason: 'unreadable' }, 'reason'],
  [{ reason: 1 }, 'reason'],
  [{ status: '403' }, 'status'],
  [{ status: 99 }, 'status'],
  [{ since: '2026-11-29' }, 'since'],
  [{ since: new Date(NaN) }, 'since'],
  [{ until: 1 }, 'until'],
  [[], 'id'],
]) {
  test(`the filter ${JSON.stringify(filter)} is refused by name`, async (t) => {
    const sender = await open(t, await simulate(t))
    const error = await failure(sender.redrive(filter))
    assert.ok(error instanceof ConfigError)
    assert.equal(error.field, field)
  })
}
