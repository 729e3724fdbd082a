'use strict'

// What a dashboard says of an organization with several OAuth clients.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { troubleOf } = require('../../lib/dashboard/trouble.js')

const QUIET = {
  outages: [],
  outage: null,
  pauses: [],
  fleet: null,
  store: null,
  queue: { messages: 0, waiting: 0, refused: 0 },
  budget: { available: 1 },
}
const LATELY = { oldestMs: null, deadLetters: 0, rate: 1 }

test('one of several clients that waits or is refused is trouble, and named; all of them are an outage', () => {
  const pause = {
    scope: 'token',
    token: 'survey',
    route: null,
    conversationId: null,
    reason: 'retry-after',
    sinceMs: 0,
    untilMs: 1,
    nextProbeMs: 1,
  }
  const outage = { route: null, token: 'survey', reason: 'auth', message: 'invalid_client', sinceMs: 0, nextProbeMs: 1 }
  const told = (stats) => {
    const { level, causes } = troubleOf({ ...QUIET, ...stats }, LATELY, 0)
    return [level, causes.map(({ text }) => text)]
  }
  assert.deepEqual(told({ pauses: [pause] }), ['trouble', ['429 for the OAuth client survey']])
  assert.deepEqual(told({ outages: [outage] }), ['trouble', ['The credentials are refused: survey (invalid_client)']])
  const ofAll = { ...outage, token: undefined }
  assert.deepEqual(told({ outages: [ofAll], outage: ofAll }), ['down', ['The credentials are refused (invalid_client)']])
})
