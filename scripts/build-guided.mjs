// Builds the addon as it is released: full LTO, and guided by a profile of itself at work (profile-guided optimization:
// https://doc.rust-lang.org/rustc/profile-guided-optimization.html). Takes about three full builds.
//
//   npm run build:guided
//   npm run build:guided -- --or-plain    without a profile where the tools are missing, and says so
//   npm run build:guided -- --use-napi-cross    what else is said goes to napi build
//
// The profile is made by an addon that counts what it does, at the work of scripts/training.mjs, and is made anew when either
// has changed. Names of functions differ between targets, so the target is always the machine's own.
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { addonFile, markGuided } from './guided.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const FOLDER = path.join(ROOT, 'target/pgo')
const COUNTING = path.join(FOLDER, 'counting')
const TRAINING = path.join(ROOT, 'scripts/training.mjs')
const FOR_NAPI = process.argv.slice(2).filter((argument) => argument !== '--or-plain')
const HOST = /^host: (.+)$/m.exec(execFileSync('rustc', ['-vV'], { encoding: 'utf8' }))[1]

const merge = findMerge()
if (merge !== undefined) {
  const profile = makeProfile(merge)
  build({ flags: `-Cprofile-use=${profile}`, targetDir: path.join(FOLDER, 'guided'), outputDir: ROOT })
  markGuided()
  console.log('built, guided by a profile')
} else if (process.argv.includes('--or-plain')) {
  console.log('NOT GUIDED by a profile: llvm-profdata is missing, and `rustup component add llvm-tools` did not bring it')
  run('npm', ['run', '--silent', 'build', '--', ...FOR_NAPI])
} else {
  console.error('A guided build needs llvm-profdata of the compiler: rustup component add llvm-tools; npm run build does without')
  process.exit(1)
}

/** The compiler's own llvm-profdata: another version's may not read what this compiler writes. */
function findMerge() {
  const libraries = execFileSync('rustc', ['--print', 'target-libdir'], { encoding: 'utf8' }).trim()
  const file = path.join(libraries, '../bin', process.platform === 'win32' ? 'llvm-profdata.exe' : 'llvm-profdata')
  if (!existsSync(file)) spawnSync('rustup', ['component', 'add', 'llvm-tools'], { stdio: 'inherit', timeout: 120_000 })
  return existsSync(file) ? file : undefined
}

/** The file of the profile, named after what it depends on: Cargo builds anew when flags differ, not when files do. */
function makeProfile(merge) {
  build({ flags: `-Cprofile-generate=${path.join(FOLDER, 'raw')}`, targetDir: path.join(FOLDER, 'counters'), outputDir: COUNTING })
  const addon = addonFile(COUNTING)
  const hash = createHash('sha256').update(readFileSync(addon)).update(readFileSync(TRAINING)).digest('hex')
  const profile = path.join(FOLDER, `${hash.slice(0, 16)}.profdata`)
  if (existsSync(profile)) return profile
  for (const old of readdirSync(FOLDER).filter((name) => name.endsWith('.profdata'))) rmSync(path.join(FOLDER, old))
  const raw = mkdtempSync(path.join(FOLDER, 'raw-'))
  try {
    // The loader is the same for every build of the addon.
    copyFileSync(path.join(COUNTING, 'binding.js'), path.join(ROOT, 'binding.js'))
    run(process.execPath, [TRAINING], { NAPI_RS_NATIVE_LIBRARY_PATH: addon, LLVM_PROFILE_FILE: path.join(raw, '%p.profraw') })
    run(merge, ['merge', '-o', `${profile}.new`, raw])
    renameSync(`${profile}.new`, profile)
  } finally {
    rmSync(raw, { recursive: true, force: true })
  }
  return profile
}

/** With a target named, flags are for the addon alone, and not for build scripts and macros. */
function build({ flags, targetDir, outputDir }) {
  mkdirSync(outputDir, { recursive: true })
  const folders = ['--target', HOST, '--target-dir', targetDir, '--output-dir', outputDir]
  const face = ['--js', 'binding.js', '--dts', 'binding.d.ts', '--no-const-enum']
  run('npx', ['napi', 'build', '--platform', '--release', ...folders, ...face, ...FOR_NAPI], {
    RUSTFLAGS: `${process.env.RUSTFLAGS ?? ''} ${flags}`.trim(),
  })
}

function run(command, args, env = {}) {
  const shell = process.platform === 'win32' && command.startsWith('np')
  const { status, error } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit', shell, env: { ...process.env, ...env } })
  if (error !== undefined) throw error
  if (status !== 0) process.exit(status ?? 1)
}
