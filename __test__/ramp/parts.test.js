'use strict'

const assert = require('node:assert/strict')
const { describe, it } = require('node:test')

const { strain } = require('../../lib/ramp/cause.js')
const { readRefusal, tellingHeaders, withoutSecrets } = require('../../lib/ramp/evidence.js')
const { isGenesysHost } = require('../../lib/ramp/hosts.js')
const { Plateau } = require('../../lib/ramp/plateau.js')
const { scopeOf } = require('../../lib/ramp/scope.js')
const { bucketBounds, measure } = require('../../lib/ramp/trial.js')
const { DOMAINS } = require('../../lib/regions.js')

describe('a plateau', () => {
  it('keeps to its times however late the answers are, and drops what exceeds a limit in flight', () => {
    const arrivals = [{ atMs: 0 }, { atMs: 10 }, { atMs: 20, inFlightMax: 2 }, { atMs: 30, inFlightMax: 3 }]
    const plateau = new Plateau({ arrivals }, 100)
    const times = []
    while (plateau.dueAt !== null) {
      times.push(plateau.dueAt)
      plateau.take(plateau.dueAt)
    }
    assert.deepEqual(times, [100, 110, 120, 130])
    assert.deepEqual(
      plateau.observations.map(({ dropped = false }) => dropped),
      [false, false, true, false],
    )
    assert.equal(plateau.isOver, false)
    for (const observation of plateau.observations) if (!observation.dropped) plateau.answered(observation, 200, 200)
    assert.deepEqual([plateau.isOver, plateau.accepted, plateau.stopped], [true, 3, null])
  })

  it('counts latency from the intended time, which a late client and a slow server both add to', () => {
    const plateau = new Plateau({ arrivals: [{ atMs: 0 }] }, 0)
    const observation = plateau.take(40)
    plateau.answered(observation, 200, 50)
    const trial = measure({ name: 'climb', phase: 0 }, { observations: plateau.observations, stopped: null, startAt: 0 }, 1000)
    assert.deepEqual([trial.p99Ms, trial.lateMs, trial.latencyMs], [50, 40, 10])
  })

  it('sends nothing more after the first 429', () => {
    const plateau = new Plateau({ arrivals: [{ atMs: 0 }, { atMs: 1 }, { atMs: 2 }] }, 0)
    const first = plateau.take(0)
    const second = plateau.take(1)
    plateau.answered(first, 429, 2)
    assert.deepEqual([plateau.dueAt, plateau.isOver, plateau.stopped], [null, false, '429'])
    plateau.answered(second, 200, 3)
    assert.equal(plateau.isOver, true)
  })

  for (const [status, reason] of [
    [503, '5xx'],
    [0, '5xx'],
    [404, '4xx'],
  ]) {
    it(`ends with three answers of ${status}, as ${reason}`, () => {
      const plateau = new Plateau({ arrivals: Array.from({ length: 9 }, (_, atMs) => ({ atMs })) }, 0)
      for (let turn = 0; turn < 3; turn++) plateau.answered(plateau.take(turn), status, turn)
      assert.equal(plateau.stopped, reason)
    })
  }
})

describe('what a refusal says', () => {
  const read = (headers, text = '') => readRefusal({ headers, text, receivedAtMs: Date.parse('2026-11-30T08:00:00Z') })

  it('is a wait in every form; zero, past, negative, absurd and garbage values are none', () => {
    assert.equal(read({ 'retry-after': '2' }).waitMs, 2000)
    assert.equal(read({ 'retry-after': 'Mon, 30 Nov 2026 08:00:03 GMT' }).waitMs, 3000)
    for (const value of ['0', '-5', 'soon', '99999999999', 'Mon, 30 Nov 2026 07:00:00 GMT']) {
      assert.equal(read({ 'retry-after': value }).waitMs, null, value)
    }
    assert.equal(read({ 'x-ratelimit-reset': '7' }).waitMs, 7000)
    assert.equal(read({}, '{"message":"Retry the request in [42] seconds"}').waitMs, 42_000)
  })

  it('is a window and a named limit', () => {
    const body = '{"message":"maximum [300] requests within [60] seconds","limit":{"key":"k","namespace":"n","value":300}}'
    assert.deepEqual(read({}, body), { waitMs: null, windowMs: 60_000, limit: { key: 'k', namespace: 'n', value: 300 } })
    assert.equal(read({ 'ratelimit-policy': '"default";q=100;w=1' }).windowMs, 1000)
    assert.equal(read({}, 'not JSON').limit, null)
  })

  it('is shown without secrets', () => {
    const body = withoutSecrets('{"access_token":"abc","note":"Bearer xyz.1 and s3cret"}', ['s3cret', null])
    assert.equal(body, '{"access_token":"…","note":"Bearer … and …"}')
    const headers = tellingHeaders({ 'retry-after': '1', 'set-cookie': 'a=b', authorization: 'x', 'inin-correlation-id': 'c' })
    assert.deepEqual(headers, { 'retry-after': '1', 'inin-correlation-id': 'c' })
  })
})

describe('the hosts of Genesys Cloud', () => {
  it('are those of every region, and others of its domains', () => {
    for (const domain of Object.values(DOMAINS)) {
      for (const host of [domain, `api.${domain}`, `API.${domain}.`]) assert.ok(isGenesysHost(`https://${host}/x`), host)
    }
    for (const host of ['api.new1.pure.cloud', 'api.mypurecloud.xy']) assert.ok(isGenesysHost(`https://${host}`), host)
  })

  it('are not those that only look like them', () => {
    for (const host of ['127.0.0.1:8080', 'localhost', 'notpure.cloud', 'mypurecloud.com.example', 'pure.cloud.example.org']) {
      assert.equal(isGenesysHost(`https://${host}`), host === 'mypurecloud.com.example', host)
    }
  })
})

describe('whose limit it is', () => {
  const asked = { limit: null, hasOther: true }

  it('follows from the name, or from who passed', () => {
    assert.equal(scopeOf({ ...asked, limit: { key: 'k', namespace: 'n' }, other: 200 }).scope, 'named key')
    assert.equal(scopeOf({ ...asked, other: 200 }).scope, 'conversation')
    assert.equal(scopeOf({ ...asked, other: 429, limitsRoute: 200 }).scope, 'route')
    assert.equal(scopeOf({ ...asked, other: 429, limitsRoute: 429 }).scope, 'organization')
    assert.equal(scopeOf({ ...asked, other: 429 }).scope, 'route or organization')
    assert.equal(scopeOf({ ...asked, hasOther: false }).scope, 'unknown')
  })
})

describe('a break without a refusal', () => {
  it('is the latency, or the client itself', () => {
    assert.equal(strain({ p99Ms: 900, lateMs: 2, windowMs: 1000 }, 20), 'latency')
    assert.equal(strain({ p99Ms: 900, lateMs: 400, windowMs: 1000 }, 20), 'client')
    assert.equal(strain({ p99Ms: 40, lateMs: 4, windowMs: 1000 }, 20), null)
  })
})

describe('the bounds of a bucket', () => {
  it('hold its size, whatever part of the latency came before the server', () => {
    const size = 50
    const windowMs = 1000
    for (const share of [0, 0.5, 1]) {
      let level = size
      let at = null
      const observations = []
      for (let turn = 0; observations.at(-1)?.status !== 429; turn++) {
        const sentAt = turn * 4
        const arrivesAt = sentAt + share * 10
        level = at === null ? size : Math.min(size, level + ((arrivesAt - at) * size) / windowMs)
        at = arrivesAt
        const status = level >= 1 ? 200 : 429
        if (status === 200) level--
        observations.push({ sentAt, answeredAt: sentAt + 10, status })
      }
      const [low, high] = bucketBounds({ observations, stopped: '429' }, windowMs)
      assert.ok(low <= size && size <= high && high - low < 6, `${low} to ${high}`)
    }
  })
})
