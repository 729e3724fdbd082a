'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { Rows, settleAccepted } = require('../../lib/rows.js')

test('rows are taken a few promises at a time, those of many acceptances by parts', () => {
  const accepted = (first, count) => [0, 'accepted', ...Array.from({ length: count }, (_, n) => [first + n, `id ${first + n}`]).flat()]
  const rows = new Rows([[1, 'ok', null], accepted(2, 20), null, [22, 'ok', null], accepted(23, 1)])
  const settled = []
  const completions = { settle: (ticket, { id }) => settled.push([ticket, id]) }
  const pieces = []
  while (!rows.isEmpty) {
    const piece = []
    rows.take(8, (row, from, to) => {
      piece.push(to - from)
      if (row?.[1] === 'accepted') settleAccepted(completions, row, from, to)
      else settled.push([row?.[0]])
    })
    pieces.push(piece)
  }
  assert.deepEqual(pieces, [[1, 7], [8], [5, 1, 1, 1]])
  assert.deepEqual(
    settled.map(([ticket]) => ticket),
    [...Array.from({ length: 21 }, (_, n) => n + 1), undefined, 22, 23],
  )
  assert.ok(settled.every(([ticket, id]) => id === undefined || id === `id ${ticket}`))
})
