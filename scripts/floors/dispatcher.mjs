// The dispatcher is one struct whose methods stand in many files, and a method is no import. So the calls between these files
// are read here: each calls only files below it.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** Folders whose files have places of their own. */
const FOLDERS = new Set(['admission', 'schedule', 'outcome', 'persistence'])
/** The files with methods of the dispatcher, from top to bottom; any other folder counts as one. */
const FILES = [
  'mod',
  'takeover',
  'recovery',
  'loaded',
  'ownership',
  'cancel',
  'sweep',
  'burial',
  'intake',
  'changes',
  'carryover',
  'answers',
  'pump',
  'departures',
  'loading',
  'limits_lookup',
  'sounding',
  'lines',
  'explain',
  'backlog',
  'gather',
  'shipment',
  'deliver',
  'suspects',
  'settle',
  'operator',
  'ended',
  'own_request',
  'credentials',
  'flights',
  'parking',
  'limited',
  'impatient',
  'held_calls',
  'share',
  'ends',
  'progress',
  'audit',
]
const IMPL = /^impl Dispatcher \{$([\s\S]*?)^\}$/gm
const METHOD = /^ {4}(?:pub(?:\([a-z: ]+\))? )?(?:const )?fn (\w+)/gm
const CALL = /\b(?:self|Self|other)\s*(?:\.|::)(\w+)\(/g

function matches(text, pattern) {
  return [...text.matchAll(pattern)].map(([, found]) => found)
}

/** The code of each file below `folder`, without comments and tests, by the name of the file or of the folder that counts as one. */
function read(folder) {
  const code = new Map()
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.rs') || entry.name === 'tests.rs') continue
    const path = join(entry.parentPath ?? entry.path, entry.name)
    const [first, second] = path.slice(folder.length + 1).split(/[\\/.]/, 2)
    const name = FOLDERS.has(first) ? second : first
    const [text] = readFileSync(path, 'utf8').split('#[cfg(test)]')
    code.set(name, (code.get(name) ?? '') + text.replaceAll(/\/\/.*/g, ''))
  }
  return code
}

/** What breaks the order, in words. */
export function upwardCalls(folder) {
  const problems = []
  const code = read(folder)
  const owners = new Map()
  for (const [name, text] of code) {
    const methods = matches(text, IMPL).flatMap((body) => matches(body, METHOD))
    if (methods.length > 0 && !FILES.includes(name)) {
      problems.push(`dispatcher/${name} has methods of the dispatcher and no place in scripts/floors/dispatcher.mjs yet`)
    }
    for (const method of methods) owners.set(method, name)
  }
  for (const [caller, text] of code) {
    for (const method of new Set(matches(text, CALL))) {
      const owner = owners.get(method)
      if (owner === undefined || !FILES.includes(caller) || FILES.indexOf(owner) >= FILES.indexOf(caller)) continue
      problems.push(`dispatcher/${caller} calls ${method} of dispatcher/${owner}, which is not below it`)
    }
  }
  return problems
}
