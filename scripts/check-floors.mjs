// Imports point downward only: the core knows no Node, and the simulator, which judges the core, knows nothing of it.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const NODE_BINDING = /^napi(-|$)|^neon$/
const RULES = [
  { crate: 'spillway-core', forbidden: NODE_BINDING, why: 'the core knows no Node' },
  { crate: 'spillway-core', forbidden: /^spillway-simulator$/, why: 'the core ships without its double' },
  { crate: 'spillway-simulator', forbidden: NODE_BINDING, why: 'the simulator knows no Node' },
  { crate: 'spillway-simulator', forbidden: /^spillway(-core)?$/, why: 'the simulator imports nothing of ours' },
]

/** Every crate that `crate` needs when it is built, on any platform. */
function dependencies(crate) {
  const tree = execFileSync(
    'cargo',
    ['tree', '--package', crate, '--edges', 'normal', '--target', 'all', '--prefix', 'none', '--format', '{p}', '--locked'],
    { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
  )
  return new Set(tree.split('\n').map((line) => line.split(' ')[0]).filter((name) => name !== '' && name !== crate))
}

let broken = 0
for (const { crate, forbidden, why } of RULES) {
  for (const name of dependencies(crate)) {
    if (!forbidden.test(name)) continue
    broken++
    console.error(`${crate} depends on ${name}, but ${why}. See: cargo tree -p ${crate} -e normal -i ${name}`)
  }
}
if (broken > 0) process.exit(1)
console.log(`The floors hold: ${RULES.length} rules.`)
