'use strict'

const { readFileSync } = require('node:fs')

/** The code of a document behind `<!-- snippet: NAME -->` and `<!-- file: NAME -->`, by name; refuses code without one. */
function readSnippets(path) {
  const text = readFileSync(path, 'utf8')
  const marked = [...text.matchAll(/^<!-- (?:snippet|file): (.+) -->\n```js\n([\s\S]*?)^```$/gm)]
  const fences = [...text.matchAll(/^```js$/gm)].length
  if (fences !== marked.length) throw new Error(`${path}: ${fences - marked.length} code blocks have no name`)
  return new Map(marked.map(([, name, code]) => [name, code]))
}

module.exports = { readSnippets }
