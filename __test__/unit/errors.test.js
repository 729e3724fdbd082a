'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { inspect } = require('node:util')

const errors = require('../../lib/errors.js')
const { errorFrom, errorFromThrown, SpillwayError, DeliveryError, ConfigError } = errors

test('each code has its class', () => {
  const table = {
    CONFIG_INVALID: 'ConfigError',
    CONFIG_CONFLICT: 'ConfigError',
    MESSAGE_INVALID: 'ConfigError',
    QUEUE_FULL: 'QueueFullError',
    EXPIRED: 'ExpiredError',
    DELIVERY_REJECTED: 'DeliveryError',
    DELIVERY_EXHAUSTED: 'DeliveryError',
    DELIVERY_AMBIGUOUS: 'DeliveryError',
    DELIVERY_ABORTED: 'DeliveryError',
    DELIVERY_RESPONSE_TOO_LARGE: 'DeliveryError',
    AUTH_REJECTED: 'AuthError',
    CLOSED: 'ClosedError',
    STORE_CORRUPT: 'StoreError',
    NOT_FOUND: 'SpillwayError',
    DRAIN_TIMEOUT: 'SpillwayError',
    CONFIGURED: 'SpillwayError',
    constructor: 'SpillwayError',
  }
  for (const [code, name] of Object.entries(table)) {
    const error = errorFrom({ code, message: 'why', field: 'x' })
    assert.equal(error.constructor, errors[name], code)
    assert.equal(error.name, name)
    assert.equal(error.code, code)
    assert.equal(error.message, 'why')
    assert.equal(error.field, 'x')
    assert.ok(error instanceof SpillwayError && error instanceof Error)
    assert.match(error.stack, new RegExp(`^${name}: why\n`))
    assert.doesNotMatch(error.stack, /errorFrom/)
  }
})

test('a DeliveryError has all its fields, and its response is in no log', () => {
  const error = errorFrom({
    code: 'DELIVERY_REJECTED',
    message: 'refused',
    status: 400,
    response: { echo: 'a text' },
    attempts: 2,
    messageId: 'm1',
  })
  assert.deepEqual(error.response, { echo: 'a text' })
  const { status, attempts, messageId, ambiguous } = error
  assert.deepEqual({ status, attempts, messageId, ambiguous }, { status: 400, attempts: 2, messageId: 'm1', ambiguous: false })
  assert.doesNotMatch(inspect(error), /a text/)
  assert.doesNotMatch(JSON.stringify(error), /a text/)
  assert.equal(new DeliveryError('x').response, null)
  // As axios 1.5 does when it makes an error of another: every property of every prototype is read where it is.
  assert.equal(DeliveryError.prototype.response, undefined)
  error.response = null
  assert.equal(error.response, null)
})

test('constructed by a user, each class has its code', () => {
  assert.equal(new ConfigError('x').code, 'CONFIG_INVALID')
  assert.equal(new errors.ClosedError().message, 'the sender is closed')
  assert.equal(new errors.StoreError('x', { cause: 1 }).cause, 1)
})

test('what the binding throws is data in a message, or a defect', () => {
  assert.ok(errorFromThrown(new Error('{"code":"CONFIG_INVALID","message":"m"}')) instanceof ConfigError)
  for (const defect of [new Error('{"a":1}'), new TypeError('null'), new Error('plain'), 'text', undefined]) {
    assert.equal(errorFromThrown(defect), defect)
  }
})

test('both faces give the same objects', async () => {
  const cjs = require('../../index.js')
  const esm = await import('../../index.mjs')
  assert.deepEqual(Object.keys(esm).sort(), Object.keys(cjs).sort())
  for (const [name, value] of Object.entries(cjs)) assert.equal(esm[name], value, name)
})
