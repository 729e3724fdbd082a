'use strict'

const assert = require('node:assert/strict')
const { describe, it } = require('node:test')

const { page } = require('../../lib/ramp/page.js')
const { reportOf } = require('../../lib/ramp/report.js')
const { find } = require('./virtual.js')

const HOSTILE = '"><script>alert(1)</script>'

function reportFor({ windowMs = 1000, refusals = [], ...server }) {
  const { found } = find({ windowMs, seed: 5, algorithm: 'opened-window', limit: 30, latency: { min: 2, max: 4 }, ...server })
  return reportOf({
    found: { ...found, windowMs },
    refusals,
    limits: { status: 200, entities: [{ key: 'requests.per.second', namespace: HOSTILE, value: 30 }] },
    target: 'gateway.example',
    hasOther: true,
    settings: {},
    startedAt: '2026-11-30T08:00:00Z',
    elapsedMs: 1234,
    sent: 99,
  })
}

describe('the page of a ramp', () => {
  const refusal = { waitMs: 1000, windowMs: null, limit: null, correlationId: HOSTILE, headers: { 'retry-after': HOSTILE }, body: HOSTILE }
  const report = reportFor({ refusals: [refusal] })
  const html = page(report)

  it('needs nothing from a network, and runs no script', () => {
    assert.doesNotMatch(html, /<script|<link|<img|src=|href=|url\(|@import|https?:/)
    assert.match(html, /default-src 'none'/)
    assert.match(html, /prefers-color-scheme:dark/)
  })

  it('shows what servers say as text', () => {
    assert.equal(html.split('&lt;script&gt;').length - 1, 4)
  })

  it('has a point per plateau in each plot, and a row per plateau', () => {
    const plots = html.match(/<svg [\s\S]*?<\/svg>/g)
    const plateaus = report.plateaus.filter(({ name }) => name !== 'whose').length
    assert.equal(plots.length, 3)
    assert.equal(plots[0].match(/<circle /g).length, 2 * plateaus)
    assert.equal(html.match(/<tr><td>/g).length, report.plateaus.length)
    assert.doesNotMatch(html, /NaN|undefined|null|Infinity/)
  })

  it('compares what was found with what the list of limits says', () => {
    assert.deepEqual(report.interval, { low: 30, high: 30 })
    assert.equal(report.told[0].agrees, true)
    assert.deepEqual(JSON.parse(JSON.stringify(report)), report)
  })

  it('can be made of a ramp that found nothing, or saw nothing', () => {
    assert.match(page(reportFor({ limit: 500, countMax: 20 })), /No limit found/)
    const empty = page({ ...reportFor({ limit: 500, countMax: 20 }), plateaus: [] })
    assert.doesNotMatch(empty, /<svg|NaN|undefined/)
  })
})
