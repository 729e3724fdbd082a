'use strict'

const { shareAddon } = require('./copies.js')
const { ConfigError, SpillwayError } = require('./errors.js')
const { findProblem, isMissing, problemsOf } = require('./load-problem.js')

let binding

/** The addon, loaded when it is first needed: `spillway --help` and the error classes work where it is missing. */
function native() {
  binding ??= shareAddon(load)
  return binding
}

function load() {
  checkOverride()
  // Before it is loaded: a file that was cut would end the process.
  const problem = findProblem()
  if (problem !== null) throw explain([problem])
  try {
    return require('../binding.js')
  } catch (cause) {
    throw explain(problemsOf(cause), cause)
  }
}

/** The generated loader would run any file of this name. Another addon is what it is for. */
function checkOverride() {
  const name = 'NAPI_RS_NATIVE_LIBRARY_PATH'
  const path = process.env[name]
  if (!path || path.endsWith('.node')) return
  throw new ConfigError(`${name} must be the path of an addon, whose name ends in .node`, { field: name })
}

/** Puts another binding in its place: for tests, which drive the completions by hand. */
function use(other) {
  binding = other
}

// The generated loader only knows that nothing worked; a person who reads the error needs to know on what machine, what
// would have worked, and what to do now. Installing again helps where the file is missing, and nowhere else.
function explain(problems, cause) {
  const { engines, version, napi } = require('../package.json')
  const supported = napi.targets.map(describeTarget)
  const here = [process.platform, process.arch, ...(process.platform === 'linux' ? [findLibc()] : [])].join(' ')
  const isSupported = supported.includes(here)
  const nothingIsThere = problems.every(isMissing)
  return new SpillwayError(
    [
      `spillway ${version} could not load its native addon on ${here} (Node ${process.version}).`,
      ...problems.filter((problem) => !isMissing(problem)).flatMap(describe),
      `Supported: ${supported.join(', ')}; Node ${engines.node.replace('>=', '')} or newer.`,
      ...(isSupported && nothingIsThere ? adviseReinstall() : []),
      ...(nothingIsThere ? adviseBuild(isSupported) : []),
    ].join('\n'),
    { code: problems.find(({ code }) => code !== undefined)?.code ?? 'UNSUPPORTED_PLATFORM', cause },
  )
}

function describe({ problem, advice }) {
  return [`Its file is there, but: ${problem}`, ...(advice === undefined ? [] : [advice])]
}

function adviseReinstall() {
  return [
    'This platform is supported, so its package is missing or belongs to another platform. Install again here, on the',
    'platform that it runs on, without --omit=optional or --no-optional:',
    '  rm -rf node_modules package-lock.json && npm install',
  ]
}

function adviseBuild(isSupported) {
  return [
    `${isSupported ? 'Or build' : 'Build'} it from source, with Rust and a C compiler: in a checkout of spillway run`,
    '  npm ci && npm run build',
    'and install that folder: npm install PATH_OF_THE_CHECKOUT',
  ]
}

/** `x86_64-unknown-linux-musl` as Node says it: `linux x64 musl`. */
function describeTarget(triple) {
  const [cpu, , system, abi] = triple.split('-')
  const platform = { darwin: 'darwin', windows: 'win32' }[system] ?? system
  const arch = { x86_64: 'x64', aarch64: 'arm64' }[cpu] ?? cpu
  return platform === 'linux' ? `${platform} ${arch} ${abi === 'musl' ? 'musl' : 'glibc'}` : `${platform} ${arch}`
}

function findLibc() {
  // A report with its network part looks up names, which can take seconds.
  process.report.excludeNetwork = true
  return process.report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl'
}

module.exports = { native, use }
