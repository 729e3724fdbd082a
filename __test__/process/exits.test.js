'use strict'

// Processes that end in every way while messages flow: with the code or the signal that they should, and never with a
// crash of the addon or a hang.

const assert = require('node:assert/strict')
const { describe, it } = require('node:test')

const { Simulator } = require('../../index.js')
const { assertEnd, optionsFor, run, start } = require('./support.js')

// A crash at exit is a race: each way is tried so often.
const TIMES = 3
const FLOW = { requests: 50, perMs: 250 }
/** However slow the machine is, most of the messages are still queued when it is looked at. */
const TRICKLE = { requests: 50, perMs: 60_000 }

async function withSimulator(t, { rateLimit = FLOW, ...config } = {}) {
  const simulator = await Simulator.start({ latencyMs: { min: 2, max: 30 }, ...config })
  t.after(() => simulator.close())
  return { simulator, options: optionsFor(simulator.url, { rateLimit }) }
}

async function endings(options, how) {
  return Promise.all(Array.from({ length: TIMES }, () => run('exit.js', { options, how })))
}

describe('the event loop', () => {
  it('is free to end when nothing is awaited, though a sender is open and messages are queued', async (t) => {
    const { options } = await withSimulator(t, { rateLimit: TRICKLE })
    for (const end of await endings(options, 'natural')) {
      assertEnd(end, { code: 0 })
      assert.ok(JSON.parse(end.stdout) > 200, `${end.stdout} messages were queued when it ended`)
    }
  })

  it('lives while a send is awaited', async (t) => {
    const { options } = await withSimulator(t, { latencyMs: 300 })
    for (const end of await endings(options, 'awaited')) {
      assertEnd(end, { code: 0 })
      assert.deepEqual(JSON.parse(end.stdout), [200, 200, 200])
    }
  })
})

describe('a process that ends in full flow', () => {
  for (const [how, code, says] of [
    ['exit', 7, ''],
    ['exit in a listener', 9, ''],
    ['exit in a listener of exit', 11, ''],
    ['exit while closing', 13, ''],
    ['throw', 1, 'Error: thrown on purpose'],
    ['throw in a listener', 1, 'Error: thrown by a listener'],
    ['reject', 1, 'Error: rejected on purpose'],
    ['a send that nobody catches', 1, 'ConfigError: body must be a JSON value, got undefined'],
    ['exit with workers', 15, ''],
    ['throw with workers', 1, 'throws on purpose'],
  ]) {
    it(`by ${how}`, async (t) => {
      const { options } = await withSimulator(t)
      for (const end of await endings(options, how)) {
        assertEnd(end, { code })
        if (says === '') assert.equal(end.stderr, '')
        else assert.ok(end.stderr.includes(says), end.stderr)
      }
    })
  }

  const signals = process.platform === 'win32' ? [] : ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGKILL']
  for (const signal of signals) {
    it(`by ${signal}`, async (t) => {
      const { options } = await withSimulator(t)
      const ends = Array.from({ length: TIMES }, async () => {
        const { child, flowing, ended } = start('exit.js', { options, how: 'signal' })
        await flowing
        child.kill(signal)
        return ended
      })
      for (const end of await Promise.all(ends)) assertEnd(end, { signal })
    })
  }

  it('by SIGTERM with a handler that closes the sender', { skip: process.platform === 'win32' }, async (t) => {
    const { options } = await withSimulator(t, { rateLimit: TRICKLE })
    const { child, flowing, ended } = start('exit.js', { options, how: 'signal with a handler' })
    await flowing
    child.kill('SIGTERM')
    const end = await ended
    assertEnd(end, { code: 0 })
    const { undelivered } = JSON.parse(end.stdout.trim().split('\n').at(-1))
    assert.ok(undelivered > 100 && undelivered < 400, `${undelivered} undelivered`)
  })
})
