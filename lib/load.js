'use strict'

// The one place that loads the native addon. The generated loader only knows that nothing worked; a person who reads the
// error needs to know on what machine, what would have worked, and what to do now.

try {
  module.exports = require('../binding.js')
} catch (cause) {
  throw explain(cause)
}

function explain(cause) {
  const { version, napi } = require('../package.json')
  const supported = napi.targets.map(describeTarget)
  const here = [process.platform, process.arch, ...(process.platform === 'linux' ? [findLibc()] : [])].join(' ')
  const isSupported = supported.includes(here)
  const error = new Error(
    [
      `spillway ${version} could not load its native addon on ${here} (Node ${process.version}).`,
      `Supported: ${supported.join(', ')}; Node 18 or newer.`,
      ...(isSupported ? adviseReinstall() : []),
      `${isSupported ? 'Or build' : 'Build'} it from source, with Rust and a C compiler: in a checkout of spillway run`,
      '  npm ci && npm run build',
      'and install that folder: npm install PATH_OF_THE_CHECKOUT',
    ].join('\n'),
  )
  error.code = 'UNSUPPORTED_PLATFORM'
  error.cause = cause
  return error
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
