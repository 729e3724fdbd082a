'use strict'

const assert = require('node:assert/strict')
const { describe, it } = require('node:test')

const { Sender } = require('../../index.js')
const { optionsFor } = require('../http/support.js')

const QUOTA = { requests: 50, perMs: 1_000 }

function open(options) {
  return Sender.open(optionsFor('http://localhost:1', { rateLimit: QUOTA, ...options }))
}

describe('the options of a shared budget', () => {
  for (const [what, options, field, message] of [
    ['another scheme', { budget: 'http://u:hush-hush@h' }, 'budget', /must be "redis:\/\/HOST:PORT", .+, got "http:\/\/…@h"/],
    ['a password in the wrong place', { budget: 'redis://h:1?password=hush-hush' }, 'budget', /got "redis:\/\/h:1\?…"/],
    ['a port that is none', { budget: 'redis://u:hush-hush@h:x' }, 'budget', /got "redis:\/\/…@h:x"/],
    ['a Sentinel without a name', { budget: 'redis+sentinel://h' }, 'budget', /redis\+sentinel:\/\/HOST:PORT,HOST:PORT\/MASTER/],
    ['a number', { budget: 6_379 }, 'budget', /got 6379/],
    ['learning', { budget: 'redis://h', rateLimit: 'learn' }, 'rateLimit', /a shared quota cannot be learned yet\), got "learn"/],
    [
      'another word',
      { budget: 'redis://h', whenBudgetUnreachable: 'go' },
      'whenBudgetUnreachable',
      /must be "hold" or \{ requests, perMs \}, got "go"/,
    ],
    ['half a rate', { budget: 'redis://h', whenBudgetUnreachable: { requests: 1 } }, 'whenBudgetUnreachable.perMs', /must be an integer/],
    [
      'more than the quota',
      { budget: 'redis://h', whenBudgetUnreachable: { requests: 51, perMs: 1_000 } },
      'whenBudgetUnreachable',
      /at most the rate of rateLimit/,
    ],
    ['a fallback of nothing', { whenBudgetUnreachable: 'hold' }, 'whenBudgetUnreachable', /left out where there is no budget/],
  ]) {
    it(`refuse ${what}`, async () => {
      await assert.rejects(open(options), (error) => {
        assert.equal(error.code, 'CONFIG_INVALID')
        assert.equal(error.field, field)
        assert.match(error.message, message)
        assert.doesNotMatch(error.message, /hush/)
        return true
      })
    })
  }

  it('must be equal in senders of one organization, and conflict without showing a login', async () => {
    const options = optionsFor('http://localhost:1', { rateLimit: QUOTA })
    const first = await Sender.open({ ...options, budget: 'redis://u:hush-hush@localhost:1' })
    try {
      for (const [budget, message] of [
        ['redis://u:another-hush@localhost:1', /budget is another login here/],
        ['redis://u:hush-hush@localhost:2', /budget is "redis:\/\/localhost:2" here/],
      ]) {
        await assert.rejects(Sender.open({ ...options, budget }), (error) => {
          assert.equal(error.code, 'CONFIG_CONFLICT')
          assert.match(error.message, message)
          assert.doesNotMatch(error.message, /hush/)
          return true
        })
      }
    } finally {
      await first.close({ timeoutMs: 0 })
    }
  })
})
