'use strict'

// Why an addon can't be loaded: what the system says of its file, and what helps.

const { closeSync, fstatSync, openSync, readSync, statSync } = require('node:fs')

const { addonFiles } = require('./addon-files.js')

const ELF_HEADER_BYTES = 64
/** What an ELF header calls the processors that there are addons for. */
const ELF_MACHINES = { x64: 62, arm64: 183 }

/** What the loader of the system says, and what to do about it; the first that fits. A shortage has a code of its own: it may pass. */
const ADVICE = [
  [
    /EMFILE|ENFILE|too many open files/i,
    'Close files and connections, or raise the limit on open files (ulimit -n).',
    'RESOURCES_EXHAUSTED',
  ],
  [/ENOMEM|cannot allocate memory/i, 'Give the process more memory.', 'RESOURCES_EXHAUSTED'],
  [/EACCES|permission denied/i, 'Make it readable for this user: it, and every folder above it.'],
  [
    /failed to map segment|operation not permitted|not permitted to load|code signature|library load disallowed|blocked/i,
    'The system does not let code run from there: its file system may be mounted noexec, or a security policy forbids it. ' +
      'Move node_modules to another file system, or allow it.',
  ],
  [/GLIBC\w*_[\d.]+' not found/, 'The C library of this system is too old for it: use a newer system.'],
  [/libc\.musl|ld-musl/, 'It was built for musl, and this Node.js is not: use the package of the other C library.'],
  [
    /libc\.so\.6|ld-linux|relocating|symbol not found/i,
    'It was built for glibc, and this Node.js is not: use the package of the other C library.',
  ],
  [
    /ELFCLASS|wrong ELF class|incompatible architecture|wrong architecture|not a valid win32|e_machine/i,
    'It was built for another processor: use the package of this one.',
  ],
  [
    /file too short|invalid ELF|not a mach-o|exec format error|truncated|is cut off|is empty|is no ELF/i,
    'It was damaged or cut when it was copied or unpacked: put a whole one in its place.',
  ],
]

function withAdvice(problem) {
  const [, advice, code] = ADVICE.find(([pattern]) => pattern.test(problem)) ?? []
  return { problem, advice, code }
}

/** What is wrong with the addon's file, as far as it shows without being loaded; null if nothing is, or none is there. */
function findProblem() {
  // Another file is asked for.
  if (process.env.NAPI_RS_NATIVE_LIBRARY_PATH) return null
  for (const file of addonFiles()) {
    const problem = problemOf(file)
    if (problem !== null) return withAdvice(`${file} ${problem}`)
  }
  return null
}

function problemOf(file) {
  let descriptor
  try {
    // Before it is opened: the open of a pipe waits for a writer.
    if (!statSync(file).isFile()) return 'is no file'
    descriptor = openSync(file, 'r')
    return process.platform === 'linux' ? problemOfElf(descriptor) : null
  } catch (error) {
    return ['ENOENT', 'ENOTDIR'].includes(error.code) ? null : `can't be read: ${error.message}`
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}

/** Whether it is shorter than its header says: touched, the part that isn't there would end the process. And what dlopen is silent of. */
function problemOfElf(descriptor) {
  const { size } = fstatSync(descriptor)
  if (size === 0) return 'is empty'
  const header = Buffer.alloc(ELF_HEADER_BYTES)
  const read = readSync(descriptor, header, 0, ELF_HEADER_BYTES, 0)
  if (header.toString('latin1', 0, 4) !== '\x7fELF') return 'is no ELF file'
  // Of another class or byte order: dlopen says so.
  if (read === ELF_HEADER_BYTES && (header[4] !== 2 || header[5] !== 1)) return null
  // The table of sections comes last.
  const end =
    read < ELF_HEADER_BYTES ? ELF_HEADER_BYTES : Number(header.readBigUInt64LE(40)) + header.readUInt16LE(58) * header.readUInt16LE(60)
  const machine = header.readUInt16LE(18)
  if (read === ELF_HEADER_BYTES && machine !== ELF_MACHINES[process.arch]) {
    const built = Object.keys(ELF_MACHINES).find((arch) => ELF_MACHINES[arch] === machine) ?? `processor ${machine}`
    return `has the wrong architecture: it was built for ${built}, and this Node.js for ${process.arch}`
  }
  return size < end ? `is cut off: it has ${size} of ${end} bytes` : null
}

/** What the generated loader has met, without what only says that a file isn't there; newest last. */
function problemsOf(error) {
  const problems = []
  for (let cause = error.cause; cause instanceof Error && problems.length < 16; cause = cause.cause) problems.unshift(cause.message)
  if (problems.length === 0) problems.push(error.message)
  return problems.map((problem) => withAdvice(problem.split('\nRequire stack:')[0].trim()))
}

/** Whether the problem is that there is no file. */
function isMissing({ problem }) {
  return /^Cannot find (module|native binding)|^Unsupported (OS|architecture)|^WASI/.test(problem)
}

module.exports = { findProblem, isMissing, problemsOf }
