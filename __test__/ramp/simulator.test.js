'use strict'

// The model that judges the figures, against the Rust simulator; and whole ramps over HTTP, in real time.

const assert = require('node:assert/strict')
const { performance } = require('node:perf_hooks')
const { describe, it } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { until } = require('../until.js')
const { ALGORITHMS } = require('./model.js')
const { open, report, sessionOf, TEMPLATE } = require('./support.js')

describe('the model and the simulator', () => {
  const LIMIT = 10
  const WINDOW_MS = 500

  for (const algorithm of Object.keys(ALGORITHMS)) {
    it(`admit the same requests one after the other, as a ${algorithm}`, async (t) => {
      const { client, requests } = await open(t, { quota: { requests: LIMIT, perMs: WINDOW_MS, algorithm } })
      const seen = []
      for (const pauseMs of [0, 0.55 * WINDOW_MS, 1.3 * WINDOW_MS]) {
        await sleep(pauseMs)
        for (let turn = 0; turn < LIMIT + 3; turn++) {
          const leftAt = performance.now()
          const { status } = await client.send(requests.next())
          seen.push({ leftAt, cameAt: performance.now(), status })
        }
      }
      // When each request was counted lies between these two; a fixed window has an edge anywhere. A token that came a moment earlier
      // or later is another request's: the sums are compared.
      const difference = (share, phase) => {
        const admit = ALGORITHMS[algorithm](LIMIT, WINDOW_MS, phase)
        let sum = 0
        return Math.max(
          ...seen.map(({ leftAt, cameAt, status }) => {
            sum += Number(admit(leftAt + share * (cameAt - leftAt))) - Number(status === 200)
            return Math.abs(sum)
          }),
        )
      }
      const phases = algorithm === 'fixed-window' ? Array.from({ length: 250 }, (_, index) => index * 2) : [0]
      const least = Math.min(...phases.flatMap((phase) => [0.2, 0.5, 0.8].map((share) => difference(share, phase))))
      assert.ok(least <= 1, `the sums differ by ${least} of ${seen.length}`)
    })
  }
})

describe('a ramp over HTTP', () => {
  it('finds a sliding log, whose limit it is, and keeps what the refusals said', async (t) => {
    const stage = await open(t, {
      quota: { requests: 18, perMs: 1000, algorithm: 'sliding-log', limitKey: 'messages.per.second', namespace: 'messaging' },
      answerStyle: 'genesys',
      latencyMs: { min: 2, max: 4 },
    })
    const session = sessionOf(stage, {})
    const found = await session.run(1000)
    const { interval, scope, told, algorithm, recommended, refusals } = report(session, found, stage.requests)
    assert.deepEqual({ interval, recommended }, { interval: { low: 18, high: 18 }, recommended: { requests: 18, perMs: 1000 } })
    assert.equal(algorithm.name, 'sliding-log')
    assert.equal(stage.simulator.ledger().refused, found.refused)
    assert.ok(found.refused <= 6, `${found.refused} refusals`)
    assert.deepEqual([scope.scope, scope.key], ['named key', 'messages.per.second'])
    assert.deepEqual(told, [{ source: 'the 429', key: 'messages.per.second', namespace: 'messaging', value: 18, agrees: true }])
    for (const { correlationId, headers, body } of refusals) {
      assert.ok(correlationId.length > 0 && headers['retry-after'] !== undefined)
      assert.match(body, /"status":429/)
    }
  })

  it('tells a limit of each conversation from one of all', async (t) => {
    const stage = await open(t, {
      routes: [{ path: TEMPLATE, quota: { requests: 4, perMs: 1000, algorithm: 'sliding-log' }, quotaPer: 'path' }],
      latencyMs: { min: 2, max: 4 },
    })
    const session = sessionOf(stage, {})
    const { scope, perConversation } = report(session, await session.run(1000), stage.requests)
    assert.deepEqual([scope.scope, perConversation], ['conversation', 4])
  })

  it('takes a longer window than --to has where a refusal asks for it', async (t) => {
    const stage = await open(t, { latencyMs: 4, script: [{ request: 4, status: 429, headers: { 'retry-after': '42' } }] })
    const session = sessionOf(stage, { minutesMax: 0.1 })
    const found = await session.run(1000)
    assert.deepEqual([found.windowMs, found.ended], [60_000, 'minutes'])
    assert.equal(session.refusals[0].waitMs, 42_000)
  })

  it('calls a server that fails what it is', async (t) => {
    const stage = await open(t, { routes: [{ path: TEMPLATE, status: 503 }] })
    const found = await sessionOf(stage, {}).run(1000)
    assert.deepEqual([found.ended, found.counts, found.refused], ['5xx', [], 0])
  })

  it('ends with its budget of requests', async (t) => {
    const stage = await open(t, {})
    const session = sessionOf(stage, { requestsMax: 5 })
    assert.equal((await session.run(300)).ended, 'requests')
    assert.equal(stage.simulator.ledger().arrivals, 5)
  })

  it('ends at once when interrupted, with what was seen', async (t) => {
    const stage = await open(t, { latencyMs: 4000 })
    const controller = new AbortController()
    const session = sessionOf(stage, { signal: controller.signal })
    const running = session.run(1000)
    await until(() => session.inFlight > 0)
    controller.abort()
    const found = await running
    assert.equal(found.ended, 'interrupted')
    assert.deepEqual([found.trials[0].offered, found.trials[0].accepted], [1, 0])
  })
})
