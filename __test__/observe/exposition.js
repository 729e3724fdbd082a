'use strict'

const assert = require('node:assert/strict')

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const LABEL = '([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\\\\n]|\\\\[\\\\"n])*)"'
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)\\})? (\\S+)$`)
const NUMBER = /^(?:[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN)$/i

/**
 * Reads Prometheus' text format and refuses whatever the format doesn't allow, more strictly than the servers: each
 * family once, HELP and TYPE before its samples, no series twice, counters with `_total`.
 */
function parseExposition(text) {
  assert.ok(text.endsWith('\n'), 'the last line ends')
  const families = new Map()
  const seen = new Set()
  let family
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = line.match(new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`))
    if (comment) {
      const [, kind, name, rest] = comment
      if (kind === 'HELP') {
        assert.ok(!families.has(name), `${name} comes once`)
        family = { help: rest, type: undefined, samples: [] }
        families.set(name, family)
      } else {
        assert.equal(families.get(name), family, `TYPE of ${name} follows its HELP`)
        assert.match(rest, /^(counter|gauge|summary)$/)
        family.type = rest
      }
      continue
    }
    const [, name, labels = ''] = line.match(SAMPLE) ?? assert.fail(`no sample: ${line}`)
    const value = line.slice(line.lastIndexOf(' ') + 1)
    assert.match(value, NUMBER, line)
    const [of] = [...families].find(([, known]) => known === family)
    const suffixes = family.type === 'summary' ? ['', '_count', '_sum'] : ['']
    assert.ok(
      suffixes.some((suffix) => name === of + suffix),
      `${name} is of ${of}`,
    )
    if (family.type === 'counter') assert.match(name, /_total$/)
    const series = line.slice(0, line.lastIndexOf(' '))
    assert.ok(!seen.has(series), `${series} comes once`)
    seen.add(series)
    const pairs = [...labels.matchAll(new RegExp(LABEL, 'g'))].map(([, key, escaped]) => [key, unescapeLabel(escaped)])
    assert.equal(new Set(pairs.map(([key]) => key)).size, pairs.length, 'a label comes once')
    family.samples.push({ name, labels: Object.fromEntries(pairs), value: numberOf(value) })
  }
  return families
}

function unescapeLabel(text) {
  return text.replace(/\\(.)/g, (_, character) => (character === 'n' ? '\n' : character))
}

function numberOf(text) {
  return { NaN, '+Inf': Infinity, '-Inf': -Infinity }[text] ?? Number(text)
}

module.exports = { parseExposition }
