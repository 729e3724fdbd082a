// Runs the test files of __test__/ with node:test, the same way on every Node from 18 on: `node --test` there takes globs
// differently from version to version, so the files are listed here.
//
//   node scripts/test.mjs                     everything under __test__
//   node scripts/test.mjs unit http           only these folders or files of __test__
//   node scripts/test.mjs --except package    everything but these
//   node scripts/test.mjs unit --test-name-pattern=expires    what else starts with -- goes to node
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, statSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

import { endHungFiles } from './hung-files.mjs'

// Test files wait for windows and servers more than they compute; Node would run as many as there are cores, but one.
const FILES_AT_ONCE = 3
const LIMIT_MS = Number(process.env.SPILLWAY_TEST_LIMIT_MS ?? 20 * 60_000)
/** Of one file. The longest takes two minutes on a slow machine. */
const FILE_LIMIT_MS = LIMIT_MS / 2
const ROOT = fileURLToPath(new URL('..', import.meta.url))
const TESTS = join(ROOT, '__test__')

function listTests(path) {
  if (statSync(path).isFile()) return [path]
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => {
    const inside = join(path, entry.name)
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : listTests(inside)
    return /\.test\.m?js$/.test(entry.name) ? [inside] : []
  })
}

const chosen = []
const excepted = []
const forNode = []
let list = chosen
for (const argument of process.argv.slice(2)) {
  if (argument === '--except') list = excepted
  else if (argument.startsWith('--')) forNode.push(argument)
  else list.push(argument.replace(/^__test__[\\/]/, ''))
}

const under = (path, part) => path === part || path.startsWith(part + sep)
const files = (chosen.length > 0 ? chosen : ['.'])
  .flatMap((part) => listTests(join(TESTS, part)))
  .filter((file) => !excepted.some((part) => under(relative(TESTS, file), join(part))))
  .sort()
if (files.length === 0) {
  console.error(`No test file matches: ${process.argv.slice(2).join(' ') || '__test__'}`)
  process.exit(1)
}

console.log(`Node ${process.version}: ${files.length} test files`)
const reporter = forNode.some((flag) => flag.startsWith('--test-reporter')) ? [] : ['--test-reporter=spec']
const concurrency = forNode.some((flag) => flag.startsWith('--test-concurrency')) ? [] : [`--test-concurrency=${FILES_AT_ONCE}`]
const run = spawn(process.execPath, ['--test', ...reporter, ...concurrency, ...forNode, ...files.map((file) => relative(ROOT, file))], {
  cwd: ROOT,
  stdio: ['ignore', 'inherit', 'inherit'],
})
const stopLooking = endHungFiles(run.pid, FILE_LIMIT_MS, console.error)
const limit = setTimeout(() => {
  console.error(`The tests did not end within ${LIMIT_MS / 60_000} minutes and were stopped.`)
  run.kill()
}, LIMIT_MS)
const [code] = await once(run, 'exit')
clearTimeout(limit)
stopLooking()
process.exit(code ?? 1)
