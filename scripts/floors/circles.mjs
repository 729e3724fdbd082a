// Modules of one folder may use each other, but not in a circle: each can be read once those that it uses are known.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const USE = /\b(?:use|pub use|pub\(super\) use) ((?:super|self|crate)[^;]*);/g

/** The code of each module of `folder` by its name: a file, or a file with its folder. */
function read(folder) {
  const code = new Map()
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.rs') || /(^|_)tests\.rs$/.test(entry.name)) continue
    const parts = join(entry.parentPath ?? entry.path, entry.name)
      .slice(folder.length + 1)
      .split(/[\\/]/)
    const [text] = readFileSync(join(folder, ...parts), 'utf8').split('#[cfg(test)]\nmod tests')
    const name = parts[0].replace(/\.rs$/, '')
    const uses = [...text.replaceAll(/\/\/.*/g, '').matchAll(USE)].map(([, path]) => ({ path, depth: parts.length }))
    code.set(name, [...(code.get(name) ?? []), ...uses])
  }
  return code
}

/** The modules that a path such as `super::{a::B, c}` begins with, seen from `depth` folders down. */
function named(path, depth, absolute) {
  const up = `${'super::'.repeat(depth)}`
  const rest = [absolute, up].find((prefix) => path.startsWith(prefix))
  if (rest === undefined || path.startsWith(`${up}super::`)) return []
  let level = 0
  let names = ''
  for (const letter of path.slice(rest.length)) {
    if (letter === '}') level--
    if (level <= 1) names += letter
    if (letter === '{') level++
  }
  return [...names.matchAll(/(?:^|[{,])\s*(\w+)/g)].map(([, name]) => name)
}

/** Circles among the modules of `folder`, which the crate knows as `path`. */
export function circles(folder, path) {
  const code = read(folder)
  const uses = (name) =>
    new Set(
      (code.get(name) ?? [])
        .flatMap(({ path: used, depth }) => named(used, depth, `crate::${path}::`))
        .filter((used) => used !== name && code.has(used)),
    )
  const known = new Map()
  const found = []
  const visit = (name, way) => {
    if (known.get(name) === 'open') found.push([...way.slice(way.indexOf(name)), name].join(' → '))
    if (known.has(name)) return
    known.set(name, 'open')
    for (const used of uses(name)) visit(used, [...way, name])
    known.set(name, 'done')
  }
  // The folder's own file names them all.
  for (const name of code.keys()) if (name !== 'mod') visit(name, [])
  return found.map((circle) => `${path}: ${circle}`)
}
