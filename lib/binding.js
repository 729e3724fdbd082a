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
    throw new SpillwayError(
      `spillway's native addon could not be loaded on ${process.platform}-${process.arch} (Node ${process.version}). ` +
        'Where spillway is built for this platform, install it again, on the platform that it runs on and without ' +
        '--omit=optional; elsewhere, build it from its source with Rust and a C compiler: npm run build',
      { code: 'ADDON_MISSING', cause },
    )
  }
}

/** Puts another binding in its place: for tests, which drive the completions by hand. */
function use(other) {
  binding = other
}

module.exports = { native, use }
