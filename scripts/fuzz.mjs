// npm run fuzz: every fuzz target for a minute, two at a time. `npm run fuzz -- evidence rows` runs these alone;
// SPILLWAY_FUZZ_SECONDS sets another time, and SPILLWAY_SEED runs the one round of inputs that failed.
import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SECONDS = '60'
const AT_ONCE = 2

/** The test program that holds each target, by its name in Cargo's messages and its kind, and the test in it. */
const TARGETS = {
  evidence: { program: ['fuzz', 'test'], test: 'evidence::evidence' },
  answers: { program: ['fuzz', 'test'], test: 'answers::answers' },
  oauth: { program: ['spillway_core', 'lib'], test: 'http::oauth::fuzz::oauth' },
  rows: { program: ['spillway_core', 'lib'], test: 'store::file::fuzz::rows' },
  frames: { program: ['spillway', 'cdylib'], test: 'frame::fuzz::frames' },
  damaged: { program: ['fuzz', 'test'], test: 'damaged::damaged' },
}

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !(name in TARGETS))
if (unknown.length > 0) {
  console.error(`There is no fuzz target ${unknown.join(', ')}; there are ${Object.keys(TARGETS).join(', ')}.`)
  process.exit(1)
}

/** Builds what `npm run test:rust` builds, with the same features, so that nothing is compiled twice. */
function build() {
  const { status, stdout } = spawnSync(
    'cargo',
    ['test', '--workspace', '--profile', 'dev-release', '--locked', '--no-run', '--message-format=json-render-diagnostics'],
    { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 2 ** 28 },
  )
  if (status !== 0) process.exit(status ?? 1)
  const artifacts = stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
  return artifacts.filter(({ executable, profile }) => executable && profile.test)
}

function programOf([name, kind], artifacts) {
  const found = artifacts.find(({ target }) => target.name === name && target.kind.includes(kind))
  if (!found) throw new Error(`Cargo built no test program ${name} (${kind})`)
  return found.executable
}

function run(name, program, test) {
  const env = { ...process.env, SPILLWAY_FUZZ_SECONDS: process.env.SPILLWAY_FUZZ_SECONDS ?? SECONDS }
  return new Promise((resolve) => {
    const child = spawn(program, [test, '--exact', '--nocapture'], { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => {
        output += text
      })
    child.on('close', (code, signal) => {
      // A filter that matches no test succeeds, too.
      const passed = code === 0 && output.includes('1 passed')
      console.log(passed ? output.match(/^.*inputs from seed.*$/m)?.[0] : output)
      if (!passed) console.error(`The fuzz target ${name} failed (${signal ?? code}).`)
      resolve(passed)
    })
  })
}

const artifacts = build()
const waiting = (wanted.length > 0 ? wanted : Object.keys(TARGETS)).map((name) => {
  const { program, test } = TARGETS[name]
  return () => run(name, programOf(program, artifacts), test)
})
const results = []
async function work() {
  for (let next = waiting.shift(); next; next = waiting.shift()) results.push(await next())
}
await Promise.all(Array.from({ length: AT_ONCE }, work))
if (results.includes(false)) process.exit(1)
