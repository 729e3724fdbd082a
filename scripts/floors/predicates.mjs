// A name that asks changes nothing: methods named is_, has_, may_ or must_ take `&self`, and nothing else that they could change.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const PREDICATE = /\bfn ((?:is|has|may|must)_\w+)[^(]*\(([^)]*)\)/g

/** Predicates of the Rust files below `folder` that could change something. */
export function actingPredicates(folder) {
  const problems = []
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.rs')) continue
    const path = join(entry.parentPath ?? entry.path, entry.name)
    for (const [, name, parameters] of readFileSync(path, 'utf8').matchAll(PREDICATE)) {
      if (parameters.includes('&mut ')) problems.push(`${path}: ${name} could change something; name it after what it does`)
    }
  }
  return problems
}
