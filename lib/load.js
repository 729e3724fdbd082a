'use strict'

const { SpillwayError } = require('./errors.js')

let binding

/** The addon, loaded when it is first needed: `spillway --help` and the error classes work where it is missing. */
function native() {
  binding ??= load()
  return binding
}

function load() {
  try {
    return require('../binding.js')
  } catch (cause) {
    throw explain(cause)
  }
}

/** Puts another binding in its place: for tests, which drive the completions by hand. */
function use(other) {
  binding = other
}

// The generated loader only knows that nothing worked; a person who reads the error needs to know on what machine, what
// would have worked, and what to do now.
function explain(cause) {
  const { version, napi } = require('../package.json')
  const supported = napi.targets.map(describeTarget)
  const here = [process.platform, process.arch, ...(process.platform === 'linux' ? [findLibc()] : [])].join(' ')
  const isSupported = supported.includes(here)
  return new SpillwayError(
    [
      `spillway ${version} could not load its native addon on ${here} (Node ${process.version}).`,
      `Supported: ${supported.join(', ')}; Node 18 or newer.`,
      ...(isSupported ? adviseReinstall() : []),
      `${isSupported ? 'Or build' : 'Build'} it from source, with Rust and a C compiler: in a checkout of spillway run`,
      '  npm ci && npm run build',
      'and install that folder: npm install PATH_OF_THE_CHECKOUT',
    ].join('\n'),
    { code: 'UNSUPPORTED_PLATFORM', cause },
  )
}

function adviseReinstall() {
  return [
    'This platform is supported, so its package is missing or belongs to another platform. Install again here, on the',
    'platform that it runs on, without --omit=optional or --no-optional:',
    '  rm -rf node_modules package-lock.json && npm install',
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
