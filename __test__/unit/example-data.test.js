'use strict'
const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const { before, describe, it } = require('node:test')

const EXAMPLES = join(__dirname, '../../examples')

describe('examples/webchat-peak.jsonl', () => {
  let script
  let file
  let rows

  before(async () => {
    script = await import('../../examples/make-webchat-peak.mjs')
    file = readFileSync(join(EXAMPLES, 'webchat-peak.jsonl'), 'utf8')
    rows = file
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
  })

  it('is what its script makes, byte for byte', () => {
    assert.ok(script.makeFile() === file, 'run `npm run example-data` and commit the result')
  })

  it('differs with another seed', () => {
    assert.ok(script.makeFile(1) !== file)
  })

  it('holds 2,400 rows of 160 conversations, sorted by time', () => {
    assert.equal(rows.length, 2_400)
    assert.equal(new Set(rows.map((row) => row.conversationId)).size, 160)
    for (let index = 1; index < rows.length; index++) assert.ok(rows[index - 1].atMs <= rows[index].atMs)
    assert.ok(rows[0].atMs >= 0)
    assert.ok(rows[rows.length - 1].atMs < 12_000)
  })

  it('has one shape', () => {
    const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
    for (const row of rows) {
      assert.deepEqual(Object.keys(row), ['atMs', 'id', 'conversationId', 'seq', 'type', 'direction', 'from', 'text'])
      assert.match(row.id, uuid)
      assert.match(row.conversationId, uuid)
      assert.match(row.from.id, uuid)
      assert.equal(row.from.idType, 'Opaque')
      assert.equal(row.type, 'Text')
      assert.equal(row.direction, 'Inbound')
      assert.ok(Number.isInteger(row.atMs) && row.text.length > 0)
    }
  })

  it('counts seq up in every conversation, and repeats exactly twelve rows, each later and otherwise the same', () => {
    const first = new Map()
    const next = new Map()
    const repeated = new Set()
    for (const row of rows) {
      const known = first.get(row.id)
      if (known) {
        assert.deepEqual({ ...row, atMs: 0 }, { ...known, atMs: 0 })
        assert.ok(row.atMs > known.atMs)
        assert.ok(!repeated.has(row.id), 'twice, not three times')
        repeated.add(row.id)
        continue
      }
      first.set(row.id, row)
      assert.equal(row.seq, next.get(row.conversationId) ?? 0)
      next.set(row.conversationId, row.seq + 1)
    }
    assert.equal(repeated.size, 12)
  })

  it('comes in bursts: its busiest four half seconds carry most of it', () => {
    const halves = new Array(24).fill(0)
    for (const row of rows) halves[Math.floor(row.atMs / 500)]++
    const busiest = [...halves].sort((a, b) => b - a)
    assert.ok(busiest[3] > 250, `fourth peak: ${busiest[3]} in 500 ms`)
    assert.ok(busiest.slice(0, 4).reduce((sum, count) => sum + count, 0) > rows.length / 2)
    assert.ok(busiest[12] < 50, `the median half second is calm: ${busiest[12]}`)
  })

  it('speaks many scripts, with emoji, quotes, backslashes, newlines and long texts', () => {
    const all = rows.map((row) => row.text).join('\n')
    for (const script of [
      'Latin',
      'Cyrillic',
      'Greek',
      'Arabic',
      'Hebrew',
      'Devanagari',
      'Tamil',
      'Thai',
      'Hiragana',
      'Katakana',
      'Han',
      'Hangul',
      'Ethiopic',
      'Georgian',
    ]) {
      assert.match(all, new RegExp(`\\p{Script=${script}}`, 'u'), script)
    }
    const families = /\p{Emoji}\u200d\p{Emoji}/u
    const flags = /\p{Regional_Indicator}{2}/u
    const skinTones = /\p{Emoji_Modifier_Base}\p{Emoji_Modifier}/u
    const beyondTheBasicPlane = /\u{20bb7}/u
    for (const pattern of [families, flags, skinTones, beyondTheBasicPlane, /"/, /\\/, /\n/, /\t/]) {
      assert.match(all, pattern)
    }
    const sizes = rows.map((row) => Buffer.byteLength(row.text))
    assert.ok(sizes.filter((bytes) => bytes >= 1_000).length >= 20)
    assert.ok(Math.max(...sizes) <= 3_072)
  })

  it('is made of at least 150 sentences, none twice', async () => {
    const { SENTENCES } = await import('../../examples/webchat-sentences.mjs')
    const sentences = Object.values(SENTENCES).flat()
    assert.ok(sentences.length >= 150)
    assert.equal(new Set(sentences).size, sentences.length)
  })
})
