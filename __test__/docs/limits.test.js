'use strict'

// docs/limits.md: every quote of the source is in the source. A constant is found by its name, wherever its file is.

const assert = require('node:assert/strict')
const { readdirSync, readFileSync } = require('node:fs')
const { join } = require('node:path')
const { describe, it } = require('node:test')

const ROOT = join(__dirname, '../..')
const CONSTANT = /\bconst ([A-Z][A-Z\d_]*)(?:: [\w:<>' ]+)? =\s*([^;\n]+)/g
const QUOTED_CONSTANT = /^([A-Z][A-Z\d_]*) = (.+)$/
const ROW = /^\| (?!limit \||---)(?<limit>.+?) \| (?<value>.+) \| (?<quotes>`.+`) \|$/

const sources = ['crates/core/src', 'src', 'lib'].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true })
    .filter((name) => /\.(rs|js)$/.test(name))
    .map((name) => readFileSync(join(ROOT, folder, name), 'utf8')),
)

/** The values of the constants of each name: files may have one of their own. */
const constants = new Map()
for (const source of sources) {
  for (const [, name, value] of source.matchAll(CONSTANT)) {
    constants.set(name, [...(constants.get(name) ?? []), value.trim()])
  }
}

function assertInSource(quote) {
  const [, name, value] = QUOTED_CONSTANT.exec(quote) ?? []
  if (name === undefined)
    assert.ok(
      sources.some((source) => source.includes(quote)),
      `not in the source: ${quote}`,
    )
  else assert.ok(constants.get(name)?.includes(value), `${name} is ${constants.get(name) ?? 'not in the source'}, not ${value}`)
}

describe('docs/limits.md', () => {
  const lines = readFileSync(join(ROOT, 'docs/limits.md'), 'utf8').split('\n')
  const rows = lines.map((line) => ROW.exec(line)?.groups).filter((row) => row !== undefined)

  it('quotes the source for every limit', () => {
    const inTables = lines.filter((line) => line.startsWith('| ') && !line.startsWith('| limit '))
    assert.equal(rows.length, inTables.length)
    assert.ok(rows.length > 50)
  })

  for (const { limit, quotes } of rows) {
    it(limit, () => {
      for (const [, quote] of quotes.matchAll(/`([^`]+)`/g)) assertInSource(quote)
    })
  }

  it('notices a value that has changed, and a name that is gone', () => {
    assert.throws(() => assertInSource('HOT_MESSAGES_MAX = 8_193'), /is 8_192, not 8_193/)
    assert.throws(() => assertInSource('NO_SUCH_LIMIT = 1'), /not in the source/)
    assert.throws(() => assertInSource('max_bytes: 256_001'), /not in the source/)
  })
})
