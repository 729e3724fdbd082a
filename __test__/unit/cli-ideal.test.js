'use strict'

const assert = require('node:assert/strict')
const test = require('node:test')

const { idealTime } = require('../../lib/cli/ideal.js')

test('the shortest time for a peak', () => {
  const together = (count) => Array(count).fill(0)
  for (const [arrivals, quota, expected] of [
    [[], 100, 0],
    [together(100), 100, 0],
    [together(101), 100, 1000],
    [together(2000), 100, 19_000],
    // What the quota leaves unused before a burst is lost.
    [[0, ...Array(200).fill(5000)], 100, 6000],
    [[0, 10, 20], 1, 2000],
    [[0, 5000], 1, 5000],
  ]) {
    assert.equal(idealTime(arrivals, quota, 1000), expected, `${arrivals.length} messages`)
  }
})
