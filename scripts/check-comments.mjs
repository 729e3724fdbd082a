// Comments of Rust files end at the width that rustfmt.toml sets: rustfmt itself leaves them alone. `--write` wraps those that don't.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const WIDTH = Number(/^max_width = (\d+)$/m.exec(readFileSync(`${ROOT}/rustfmt.toml`, 'utf8'))[1])
const COMMENT = /^(?<prefix>\s*\/\/[/!]? )(?<text>.*)$/
/** What begins a line of its own: an item of a list, a heading, a table, a fence, a link's target. */
const STANDS_ALONE = /^([-*#|>`[]|\d+\. |\s)/

const files = execFileSync('git', ['ls-files', '*.rs'], { cwd: ROOT, encoding: 'utf8' }).trim().split('\n')
const isLong = (line) => line.length > WIDTH && COMMENT.test(line)

/** The lines, with the words that don't fit moved to the next line of their comment. */
function wrap(lines) {
  const wrapped = []
  const rest = [...lines]
  let fenced = false
  while (rest.length > 0) {
    const line = rest.shift()
    const { prefix, text } = COMMENT.exec(line)?.groups ?? {}
    if (text?.startsWith('```')) fenced = !fenced
    const space = isLong(line) && !fenced ? line.lastIndexOf(' ', WIDTH) : -1
    if (space <= (prefix?.length ?? 0)) {
      wrapped.push(line)
      continue
    }
    wrapped.push(line.slice(0, space))
    const words = line.slice(space + 1)
    const next = COMMENT.exec(rest[0] ?? '')?.groups
    const indent = /^([-*] |\d+\. )/.exec(text)?.[0].length ?? 0
    const joins = next?.prefix === prefix && next.text !== '' && !STANDS_ALONE.test(next.text)
    if (joins) rest[0] = `${prefix}${words} ${next.text}`
    else rest.unshift(`${prefix}${' '.repeat(indent)}${words}`)
  }
  return wrapped
}

let long = 0
for (const file of files) {
  const path = `${ROOT}/${file}`
  const lines = readFileSync(path, 'utf8').split('\n')
  if (!lines.some(isLong)) continue
  const kept = process.argv.includes('--write') ? wrap(lines) : lines
  if (kept !== lines) writeFileSync(path, kept.join('\n'))
  for (const [index, line] of kept.entries()) {
    if (!isLong(line)) continue
    long++
    console.error(`${file}:${index + 1}: a comment of ${line.length} columns; ${WIDTH} are allowed. npm run format wraps it`)
  }
}
if (long > 0) process.exit(1)
console.log(`Comments of ${files.length} Rust files end at column ${WIDTH}.`)
