// Imports point downward only: the core knows no Node, and the simulator, which judges the core, knows nothing of it. Within
// the core, each module imports only from those below it, and so do the dispatcher's files call. Predicates change nothing.
import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { circles } from './floors/circles.mjs'
import { upwardCalls } from './floors/dispatcher.mjs'
import { actingPredicates } from './floors/predicates.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const NODE_BINDING = /^napi(-|$)|^neon$/
const RULES = [
  { crate: 'spillway-core', forbidden: NODE_BINDING, why: 'the core knows no Node' },
  { crate: 'spillway-core', forbidden: /^spillway-simulator$/, why: 'the core ships without its double' },
  { crate: 'spillway-simulator', forbidden: NODE_BINDING, why: 'the simulator knows no Node' },
  { crate: 'spillway-simulator', forbidden: /^spillway(-|$)/, why: 'the simulator imports nothing of ours' },
  { crate: 'spillway-vfs', forbidden: /^spillway(-|$)/, why: 'the VFS knows SQLite alone' },
]

const CORE = join(ROOT, 'crates/core/src')
const RUST = [CORE, join(ROOT, 'crates/simulator/src'), join(ROOT, 'crates/vfs/src'), join(ROOT, 'src')]
/** The modules of the core, from top to bottom. */
const MODULES = [
  'handle',
  'engine',
  'fleet',
  'http',
  'dispatcher',
  'store',
  'batcher',
  'lanes',
  'stats',
  'budget',
  'lease',
  'retry',
  'settings',
  'error',
  'outcome',
  'message',
  'shipment',
  'evidence',
  'joins',
  'json',
  'text',
  'token',
  'lock',
  'table',
  'totals',
  'shortage',
  'clock',
  'random',
]

/** Folders of the core whose modules use each other in no circle. */
const ACYCLIC = [
  'engine',
  'fleet',
  'http',
  'lanes',
  'batcher',
  'budget',
  'budget::learned',
  'lease',
  'evidence',
  'retry',
  'settings',
  'store',
  'store::file',
]

/** Every crate that `crate` needs when it is built, on any platform. */
function dependencies(crate) {
  const tree = execFileSync(
    'cargo',
    ['tree', '--package', crate, '--edges', 'normal', '--target', 'all', '--prefix', 'none', '--format', '{p}', '--locked'],
    { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
  )
  return new Set(
    tree
      .split('\n')
      .map((line) => line.split(' ')[0])
      .filter((name) => name !== '' && name !== crate),
  )
}

let broken = 0
for (const { crate, forbidden, why } of RULES) {
  for (const name of dependencies(crate)) {
    if (!forbidden.test(name)) continue
    broken++
    console.error(`${crate} depends on ${name}, but ${why}. See: cargo tree -p ${crate} -e normal -i ${name}`)
  }
}

function sources(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    return entry.isDirectory() ? sources(path) : [path]
  })
}

/** The modules of the core that a file's code names; comments and its tests at the end don't count. */
function imports(file) {
  const [code] = readFileSync(file, 'utf8').split('#[cfg(test)]')
  return new Set([...code.replaceAll(/\/\/.*/g, '').matchAll(/\bcrate::([a-z_]+)/g)].map(([, name]) => name))
}

for (const file of sources(CORE)) {
  const name = file.slice(CORE.length + 1)
  const module = name.split(/[\\/.]/, 1)[0]
  if (module === 'lib') continue
  const floor = MODULES.indexOf(module)
  if (floor < 0) {
    broken++
    console.error(`crates/core/src/${name}: the module ${module} has no floor in scripts/check-floors.mjs yet`)
  }
  for (const imported of imports(file)) {
    if (MODULES.indexOf(imported) >= floor) continue
    broken++
    console.error(`crates/core/src/${name} imports ${imported}, which is not below ${module}`)
  }
}
for (const circle of ACYCLIC.flatMap((path) => circles(join(CORE, ...path.split('::')), path))) {
  broken++
  console.error(`modules of crates/core/src use each other in a circle: ${circle}`)
}
for (const problem of [...upwardCalls(join(CORE, 'dispatcher')), ...RUST.flatMap(actingPredicates)]) {
  broken++
  console.error(problem.replace(ROOT, ''))
}
if (broken > 0) process.exit(1)
console.log(`The floors hold: ${RULES.length} rules on crates, ${MODULES.length} modules of the core in their order.`)
