// Instructions of the core for each message, counted by callgrind and held against what was recorded: times vary with the
// machine and its load, these don't. Users run a release, so the core is built as for one: without debug assertions and
// overflow checks, which cost a tenth and more, in one unit. The benches are crates/core/examples/instructions.rs.
//
//   node scripts/check-instructions.mjs             compares; fails where a count has grown by more than the tolerance
//   node scripts/check-instructions.mjs --record    writes the counts of this checkout to bench/instructions.json
//
// Linux alone has valgrind that can be relied on. Where it is missing it is installed, if apt-get is there and may do that;
// else this fails and says so. SPILLWAY_SKIP_INSTRUCTIONS=1 leaves it out, and says that, too.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../', import.meta.url))
const RECORDED = path.join(ROOT, 'bench/instructions.json')
const BENCHES = ['send', 'enqueue', 'backlog', 'array', 'merge']
/** Two sizes: their difference leaves out what starting costs. */
const [FEW, MANY] = [2_000, 12_000]
/** Hash tables are seeded by chance, and compilers differ a little. */
const TOLERANCE = 0.1

if (process.platform !== 'linux' || process.env.SPILLWAY_SKIP_INSTRUCTIONS === '1') {
  const why = process.platform === 'linux' ? 'SPILLWAY_SKIP_INSTRUCTIONS is set' : `callgrind is for Linux, this is ${process.platform}`
  console.log(`NOT CHECKED: instruction counts (${why})`)
  process.exit()
}
ensureValgrind()

const program = buildExample()
const counts = Object.fromEntries(BENCHES.map((name) => [name, Math.round((count(name, MANY) - count(name, FEW)) / (MANY - FEW))]))
if (process.argv.includes('--record')) {
  const compiler = execFileSync('rustc', ['--version'], { encoding: 'utf8' }).trim()
  writeFileSync(RECORDED, `${JSON.stringify({ compiler, architecture: os.arch(), instructionsPerMessage: counts }, null, 2)}\n`)
}
compare(JSON.parse(readFileSync(RECORDED, 'utf8')))

function ensureValgrind() {
  const isThere = () => spawnSync('valgrind', ['--version']).status === 0
  if (isThere()) return
  console.log('valgrind is missing: trying to install it with apt-get')
  const apt = process.getuid() === 0 ? ['apt-get'] : ['sudo', '--non-interactive', 'apt-get']
  for (const args of [['update'], ['install', '-y', '--no-install-recommends', 'valgrind']]) {
    spawnSync(apt[0], [...apt.slice(1), '-qq', ...args], { stdio: 'inherit' })
  }
  if (isThere()) return
  console.error(
    'instruction counts need valgrind, which is missing and could not be installed; SPILLWAY_SKIP_INSTRUCTIONS=1 leaves them out',
  )
  process.exit(1)
}

/** With the profile that tests use, so that CI has its dependencies already; only the core differs from theirs. */
function buildExample() {
  const core = ['debug-assertions=false', 'overflow-checks=false', 'codegen-units=1']
  const config = core.flatMap((setting) => ['--config', `profile.dev-release.package.spillway-core.${setting}`])
  const build = ['build', '--quiet', '--locked', '--profile', 'dev-release', '-p', 'spillway-core', '--example', 'instructions']
  execFileSync('cargo', [...build, ...config], { cwd: ROOT, stdio: 'inherit' })
  const metadata = execFileSync('cargo', ['metadata', '--format-version', '1', '--no-deps', '--locked'], { cwd: ROOT, encoding: 'utf8' })
  return path.join(JSON.parse(metadata).target_directory, 'dev-release/examples/instructions')
}

function count(name, messages) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'spillway-callgrind-'))
  try {
    const file = path.join(folder, 'out')
    const run = spawnSync('valgrind', ['--tool=callgrind', `--callgrind-out-file=${file}`, program, name, String(messages)], {
      encoding: 'utf8',
    })
    const total = /Collected : (\d+)/.exec(run.stderr)
    if (run.status !== 0 || total === null) throw new Error(`callgrind failed on ${name}: ${run.stderr}`)
    return Number(total[1])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function compare({ compiler, architecture, instructionsPerMessage: recorded }) {
  if (architecture !== os.arch()) {
    console.log(`NOT CHECKED: instruction counts (recorded for ${architecture}, this is ${os.arch()})`)
    return
  }
  let grown = false
  for (const [name, now] of Object.entries(counts)) {
    const change = now / recorded[name] - 1
    grown ||= change > TOLERANCE
    console.log(
      `${name.padEnd(8)} ${String(now).padStart(6)} instructions a message, recorded ${recorded[name]} (${change >= 0 ? '+' : ''}${(change * 100).toFixed(1)} %)`,
    )
  }
  if (!grown) return
  console.error(
    `more than ${TOLERANCE * 100} % above what was recorded with ${compiler}: mend it, or say in the commit why and record it anew (npm run check:instructions -- --record)`,
  )
  process.exitCode = 1
}
