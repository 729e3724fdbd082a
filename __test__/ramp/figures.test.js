'use strict'

const assert = require('node:assert/strict')
const { describe, it } = require('node:test')

const { find, serverOf } = require('./virtual.js')

const SEEDS = 100
const REPEAT = 3

describe(`spillway ramp against ${SEEDS} servers by seed, on a virtual clock`, () => {
  const runs = Array.from({ length: SEEDS }, (_, index) => {
    const server = serverOf(index + 1)
    return { server, ...find({ ...server, repeat: REPEAT }) }
  })
  const shareOf = (list, test) => list.filter(test).length / list.length
  const told = (list) => list.map(({ server, verdict, found }) => JSON.stringify({ server, verdict, refused: found.refused })).join('\n')

  it('holds the limit in its interval in at least 95 %; with others, what they leave up to the whole', () => {
    const holds = ({ server, verdict: { interval } }) =>
      interval !== null && interval.low <= server.limit && interval.high >= server.limit - (server.others ?? 0)
    assert.ok(shareOf(runs, holds) >= 0.95, told(runs.filter((run) => !holds(run))))
  })

  it('makes the interval at most 3 % wide in at least 95 %', () => {
    const narrow = ({ verdict }) => verdict.width !== null && verdict.width <= 0.03
    assert.ok(shareOf(runs, narrow) >= 0.95, told(runs.filter((run) => !narrow(run))))
  })

  it('names the algorithm right in at least 90 %, and in at least 95 % where nobody else uses the quota', () => {
    const right = ({ server, verdict }) => verdict.algorithm.name === server.algorithm
    const alone = runs.filter(({ server }) => server.others === null)
    assert.ok(shareOf(runs, right) >= 0.9, told(runs.filter((run) => !right(run))))
    assert.ok(shareOf(alone, right) >= 0.95, told(alone.filter((run) => !right(run))))
  })

  it('is refused at most twice per repetition, in at least 99 %, and hardly more in any', () => {
    const few = ({ found }) => found.refused <= 2 * REPEAT
    assert.ok(shareOf(runs, few) >= 0.99, told(runs.filter((run) => !few(run))))
    assert.ok(
      runs.every(({ found }) => found.refused <= 2 * REPEAT + 2),
      told(runs.filter((run) => !few(run))),
    )
  })
})

describe('spillway ramp where the limit is met with many requests on their way', () => {
  const SERVERS = [
    [22, 'others take some of what was accepted before, and the limit is approached again'],
    [464, 'others take some of it while windows are told apart'],
    [386, 'a bucket of hundreds per second is measured at the rate that flows in'],
    [399, 'it is, after a first break that cost many'],
  ]
  for (const [seed, what] of SERVERS) {
    it(`is not refused for all of them: ${what}`, () => {
      const server = serverOf(seed)
      const { found, verdict } = find({ ...server, repeat: REPEAT })
      assert.ok(found.refused <= 2 * REPEAT, `${found.refused} refusals`)
      const { low, high } = verdict.interval
      assert.ok(low <= server.limit && high >= server.limit - (server.others ?? 0), JSON.stringify(verdict.interval))
      assert.ok(verdict.width <= 0.03, `${verdict.width}`)
    })
  }
})

describe('spillway ramp and one kind of server each', () => {
  for (const algorithm of ['fixed-window', 'opened-window', 'sliding-log', 'token-bucket']) {
    it(`finds the limit of a ${algorithm}, with evidence, for windows of 1 s and of 60 s`, () => {
      for (const windowMs of [1000, 60_000]) {
        const { found, verdict } = find({ seed: 7, algorithm, limit: 240, windowMs, latency: { min: 4, max: 9 } })
        assert.equal(verdict.algorithm.name, algorithm)
        assert.ok(verdict.algorithm.evidence.length > 0)
        assert.ok(verdict.interval.low <= 240 && verdict.interval.high >= 240 && verdict.width <= 0.03, JSON.stringify(verdict))
        assert.ok(found.refused <= 6, `${found.refused} refusals`)
      }
    })
  }

  it('says that nothing broke where the limit is above --to', () => {
    const { found, verdict } = find({
      seed: 1,
      algorithm: 'sliding-log',
      limit: 500,
      windowMs: 1000,
      latency: { min: 2, max: 4 },
      countMax: 60,
    })
    assert.deepEqual([found.ended, verdict.interval, found.refused], ['not-reached', null, 0])
    assert.ok(Math.max(...found.trials.map(({ accepted }) => accepted)) <= 60)
  })

  it('keeps within two refusals with --repeat 1', () => {
    const { found, verdict } = find({
      seed: 1,
      algorithm: 'sliding-log',
      limit: 50,
      windowMs: 1000,
      latency: { min: 2, max: 4 },
      repeat: 1,
    })
    assert.deepEqual([found.refused, verdict.interval], [2, { low: 50, high: 50 }])
  })

  it('starts each plateau a whole window after the last request, on the grid of windows', () => {
    const { found } = find({ seed: 3, algorithm: 'fixed-window', limit: 80, windowMs: 1000, latency: { min: 2, max: 4 } })
    const trials = found.trials.filter(({ name }) => name !== 'whose')
    for (const [index, trial] of trials.entries()) {
      const start = trial.startAt / 1000 - trial.phase
      assert.ok(Math.abs(start - Math.round(start)) < 1e-6, `plateau ${index} starts off the grid`)
      if (index > 0) assert.ok(trial.startAt - trials[index - 1].observations.at(-1).sentAt >= 1000)
    }
  })
})
