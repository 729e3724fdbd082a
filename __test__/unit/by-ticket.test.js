'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { ByTicket } = require('../../lib/by-ticket.js')

test('each ticket gives its value once', () => {
  const values = new ByTicket()
  for (const ticket of [1, 255, 256, 257, 70_000, 2 ** 40]) values.add(ticket, `value of ${ticket}`)
  assert.equal(values.size, 6)
  assert.deepEqual(values.tickets(), [1, 255, 256, 257, 70_000, 2 ** 40])
  for (const ticket of [256, 2 ** 40, 1, 70_000, 255, 257]) {
    assert.equal(values.take(ticket), `value of ${ticket}`)
    assert.equal(values.take(ticket), undefined)
  }
  assert.equal(values.size, 0)
  assert.deepEqual(values.tickets(), [])
})

test('a page that was left is begun again, and one that stays is found', () => {
  const values = new ByTicket()
  values.add(1, 'stays')
  for (let ticket = 2; ticket < 2_000; ticket++) {
    values.add(ticket, ticket)
    assert.equal(values.take(ticket), ticket)
  }
  assert.deepEqual([values.size, values.tickets()], [1, [1]])
  assert.equal(values.take(1), 'stays')
  values.add(2, 'again')
  assert.equal(values.take(2), 'again')
})
