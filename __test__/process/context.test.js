'use strict'

// Async context: a callback runs in the context in which it was registered, not in the one that opened the sender or sent the message.

const assert = require('node:assert/strict')
const { AsyncLocalStorage } = require('node:async_hooks')
const { once } = require('node:events')
const { test } = require('node:test')

const { Sender, Simulator } = require('../../index.js')
const { defer } = require('../defer.js')
const { message, optionsFor, until } = require('./support.js')

const storage = new AsyncLocalStorage()
const within = (name, work) => storage.run(name, work)

async function open(t, options = {}) {
  const simulator = await Simulator.start({ authRequired: false })
  defer(t, () => simulator.close())
  const sender = await within('the opener', () => Sender.open(optionsFor(simulator.url, options)))
  defer(t, () => sender.close({ timeoutMs: 0 }))
  return sender
}

test('listeners of every method run in the context of their registration', async (t) => {
  const sender = await open(t)
  const heard = []
  const hear = (name) => () => heard.push([name, storage.getStore()])
  for (const method of ['on', 'addListener', 'once', 'prependListener', 'prependOnceListener']) {
    within(`by ${method}`, () => sender[method]('delivered', hear(method)))
  }
  sender.on('delivered', hear('nowhere'))
  for (let seq = 1; seq <= 2; seq++) {
    await within('the one who sends', async () => {
      await sender.send(message(`m${seq}`, 'c', seq))
      assert.equal(storage.getStore(), 'the one who sends')
    })
  }
  await until(() => heard.length === 10)
  const always = ['on', 'addListener', 'prependListener']
  const expected = [...always, ...always, 'once', 'prependOnceListener'].map((name) => [name, `by ${name}`])
  assert.deepEqual(heard.sort(), [...expected, ['nowhere', undefined], ['nowhere', undefined]].sort())
})

test('so do promises of an event, and the accessToken function', async (t) => {
  let asked
  const credentials = {
    accessToken() {
      asked = [storage.getStore(), this === credentials]
      return 'a-token'
    },
  }
  const sender = await open(t, { credentials })
  await within('the waiter', async () => {
    const delivered = once(sender, 'delivered')
    await sender.send(message('m', 'c', 1))
    const [receipt] = await delivered
    assert.deepEqual([receipt.id, storage.getStore()], ['m', 'the waiter'])
  })
  assert.deepEqual(asked, ['the opener', true])
})

test('what a sender is made in is not kept from the collector by an event', async (t) => {
  const sender = await open(t)
  let store
  sender.on('drain', () => (store = storage.getStore()))
  await within('the one who sends', () => sender.send(message('m', 'c', 1)))
  await sender.drain()
  await until(() => sender.stats().queue.messages === 0)
  assert.equal(store, undefined)
})

test('they are removed, listed and counted as what they are', async (t) => {
  const sender = await open(t)
  const listener = () => assert.fail('it was removed')
  const added = []
  sender.on('newListener', (name, given) => added.push([name, given]))
  for (const method of ['on', 'addListener', 'once', 'prependListener', 'prependOnceListener']) {
    assert.equal(sender[method]('delivered', listener), sender)
    assert.deepEqual(added.pop(), ['delivered', listener])
    assert.deepEqual(sender.listeners('delivered'), [listener])
    assert.equal(sender.rawListeners('delivered').length, 1)
    assert.equal(sender.off('delivered', listener), sender)
    assert.equal(sender.listenerCount('delivered'), 0, method)
    sender[method]('delivered', listener)
    sender.removeAllListeners('delivered')
    assert.equal(sender.listenerCount('delivered'), 0, method)
  }
  await sender.send(message('m', 'c', 1))

  let calls = 0
  function counts(...values) {
    calls++
    assert.equal(this, sender)
    assert.deepEqual(values, [1, 2])
    // A second emit from within finds it gone already.
    sender.emit('delivered', 1, 2)
  }
  for (const method of ['once', 'prependOnceListener']) sender[method]('delivered', counts)
  sender.emit('delivered', 1, 2)
  assert.equal(calls, 2)
  assert.equal(sender.listenerCount('delivered'), 0)
  for (const method of ['on', 'addListener', 'once', 'prependListener', 'prependOnceListener']) {
    assert.throws(() => sender[method]('delivered', 7), { code: 'ERR_INVALID_ARG_TYPE' }, method)
  }
})
