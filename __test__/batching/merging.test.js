'use strict'

// What merges: fields that may differ, the length of texts by channel, and blank texts.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { Sender } = require('../../index.js')
const { failure, openMerge, optionsFor, sendAll, takeBatches, until } = require('./support.js')

const params = { integrationId: 'i' }

/** Sends bodies of one conversation behind one that is on the wire; the bodies that arrive after it. */
async function merged(t, options, first, bodies) {
  let release
  const held = new Promise((resolve) => (release = resolve))
  const { url, arrivals } = await takeBatches(t, async (_, n) => {
    if (n === 0) await held
    return {}
  })
  const sender = await openMerge(t, url, options)
  const message = (body, n) => ({ id: `m${n}`, conversationId: 'c', body, ...(options.route === 'open-inbound' ? { params } : {}) })
  const leads = sender.send(message(first, 'first'))
  await until(() => arrivals.length === 1)
  const rest = sendAll(sender, bodies.map(message))
  await until(() => sender.stats().queue.messages === bodies.length + 1)
  release()
  await leads
  assert.equal((await rest).receipts.size, bodies.length)
  return arrivals.slice(1).map(({ body }) => JSON.parse(body))
}

/** An inbound message as providers give it: each has a time and an id of its own. */
const inbound = (n, more = {}) => ({
  channel: { from: { id: 'u1', idType: 'Opaque' }, time: `2026-01-01T00:00:0${n}Z`, messageId: `p${n}`, ...more },
  text: `t${n}`,
})

test('open-inbound merges messages whose time and id differ, by default', async (t) => {
  const bodies = await merged(t, { route: 'open-inbound' }, inbound(0), [inbound(1), inbound(2), inbound(3)])
  assert.deepEqual(bodies, [{ ...inbound(1), text: 't1\nt2\nt3' }])
})

test('the last message may have its way, and nothing is ignored if that is said', async (t) => {
  const last = await merged(t, { route: 'open-inbound', batch: { keep: 'last' } }, inbound(0), [inbound(1), inbound(2), inbound(3)])
  assert.deepEqual(last, [{ ...inbound(3), text: 't1\nt2\nt3' }])
  const none = await merged(t, { route: 'open-inbound', batch: { ignore: [] } }, inbound(0), [inbound(1), inbound(2)])
  assert.deepEqual(none, [inbound(1), inbound(2)])
})

test('what differs beside the ignored fields still keeps messages apart', async (t) => {
  const options = { route: 'open-inbound', batch: { ignore: ['channel.time', 'channel.messageId', 'no.such', '__proto__.x'] } }
  const other = inbound(2, { from: { id: 'u2', idType: 'Opaque' } })
  assert.deepEqual(await merged(t, options, inbound(0), [inbound(1), other, inbound(3)]), [inbound(1), other, inbound(3)])
  const { time, ...channel } = inbound(2).channel
  const timeless = { channel, text: 't2' }
  assert.deepEqual(await merged(t, options, inbound(0), [inbound(1), timeless]), [{ ...inbound(1), text: 't1\nt2' }])
})

test('stats and explain name the field that prevents merging', async (t) => {
  const { url, arrivals } = await takeBatches(t, (_, n) => (n === 2 ? { delayMs: 60_000 } : {}))
  const sender = await openMerge(t, url)
  assert.deepEqual(sender.stats().merging, { joined: 0, prevented: [] })
  const bodies = [1, 2, 3, 4].map((n) => ({ text: `t${n}`, meta: { seq: n, 'my secret': n } }))
  const sent = bodies.map((body, n) => sender.send({ id: `m${n}`, conversationId: 'c', body, notBefore: Date.now() + 20 }).catch(() => {}))
  await until(() => arrivals.length === 3)
  const { joined, prevented } = sender.stats().merging
  assert.equal(joined, 0)
  assert.deepEqual(
    prevented.map(({ field }) => field),
    ['body.meta.…'],
  )
  assert.ok(prevented[0].times >= 1)
  const reasons = (await sender.explain('m3')).reasons.filter(({ kind }) => kind === 'batch')
  assert.deepEqual(reasons, [{ kind: 'batch', detail: 'nothing has merged so far: messages differ in body.meta.…' }])
  await sender.close({ timeoutMs: 0 })
  await Promise.all(sent)

  const named = await openMerge(t, url, { batch: { ignore: ['meta.my secret'] } })
  const rest = sendAll(named, [
    { id: 'a', conversationId: 'd', body: bodies[0] },
    { id: 'b', conversationId: 'd', body: bodies[1] },
  ])
  await rest
  assert.deepEqual(named.stats().merging, { joined: 0, prevented: [{ field: 'body.meta.seq', times: 1 }] })
  const plain = await openMerge(t, url, { batch: { mode: 'none' } })
  assert.equal(plain.stats().merging, null)
})

test('blank texts travel alone', async (t) => {
  const texts = ['a', 'b', '', 'c', ' \n\t\u00a0\u2003', 'd', 'e']
  const bodies = await merged(
    t,
    {},
    { text: 'first' },
    texts.map((text) => ({ text })),
  )
  assert.deepEqual(
    bodies.map(({ text }) => text),
    ['a\nb', '', 'c', ' \n\t\u00a0\u2003', 'd\ne'],
  )
})

for (const [what, options, field, piece, counts] of [
  ['an SMS', { route: 'agentless' }, 'textBody', 'y'.repeat(84), [9, 1]],
  ['an SMS of extension characters', { route: 'agentless' }, 'textBody', '€'.repeat(42), [9, 1]],
  ['an SMS of UCS-2', { route: 'agentless' }, 'textBody', '名'.repeat(66), [5, 5]],
  ['an SMS of surrogate pairs', { route: 'agentless' }, 'textBody', '😀'.repeat(33), [5, 5]],
  ['a message to any channel', { route: 'agentless', batch: { channel: 'instagram' } }, 'textBody', 'y'.repeat(99), [10]],
  ['open messaging', { route: 'open-inbound' }, 'text', 'y'.repeat(799), [5, 5]],
  ['web messaging', { batch: { channel: 'web' } }, 'text', 'y'.repeat(799), [5, 5]],
  ['no known channel', {}, 'text', 'y'.repeat(399), [5, 5]],
  ['a limit of its own', { route: 'agentless', batch: { maxTextLength: 19, textUnits: 'utf16' } }, 'textBody', '😀'.repeat(2), [4, 4, 2]],
]) {
  test(`the longest merged text: ${what}`, async (t) => {
    const bodies = await merged(
      t,
      options,
      { [field]: 'first' },
      Array.from({ length: 10 }, () => ({ [field]: piece })),
    )
    assert.deepEqual(
      bodies.map((body) => body[field]),
      counts.map((count) => Array(count).fill(piece).join('\n')),
    )
  })
}

for (const [what, batch, field] of [
  ['ignore that is no list', { ignore: 'channel.time' }, 'batch.ignore'],
  ['ignore of a path in pieces', { ignore: [['channel', 'time']] }, 'batch.ignore'],
  ['ignore of the text', { ignore: ['text'] }, 'batch.ignore'],
  ['ignore of an empty name', { ignore: ['channel..time'] }, 'batch.ignore'],
  ['33 paths', { ignore: Array.from({ length: 33 }, (_, n) => `p${n}`) }, 'batch.ignore'],
  ['another keep', { keep: 'both' }, 'batch.keep'],
  ['another channel', { channel: 'fax' }, 'batch.channel'],
  ['no length', { maxTextLength: 0 }, 'batch.maxTextLength'],
  ['other units', { textUnits: 'gsm7' }, 'batch.textUnits'],
]) {
  test(`refused: ${what}`, async () => {
    const error = await failure(Sender.open(optionsFor('http://127.0.0.1:9', { batch: { mode: 'merge', ...batch } })))
    assert.deepEqual([error.name, error.code, error.field], ['ConfigError', 'CONFIG_INVALID', field])
  })
}
