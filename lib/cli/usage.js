'use strict'

const { parseArgs } = require('node:util')

/** The command line, a configuration or the input is wrong: one line for the user, exit code 2, and no stack. */
class UsageError extends Error {
  get name() {
    return 'UsageError'
  }
}

const COMMON_OPTIONS = {
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
  json: { type: 'boolean' },
}

/** The options and positionals of a command. Throws a UsageError for what it doesn't know. */
function parse(args, options = {}) {
  if (parseArgs === undefined) throw new UsageError(`the command line needs Node 18.3 or newer, this is ${process.version}`)
  try {
    return parseArgs({ args, options: { ...COMMON_OPTIONS, ...options }, allowPositionals: true, strict: true })
  } catch (error) {
    // Node goes on with advice on "--"; the first sentence says what is wrong.
    throw new UsageError(error.message.split(/[.\n]\s/, 1)[0].replace(/\.$/, ''))
  }
}

/** The number that an option's text is. */
function number(name, text, { min, max, integer = false }) {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN
  if (value >= min && value <= max && (!integer || Number.isInteger(value))) return value
  const kind = integer ? 'an integer' : 'a number'
  throw new UsageError(`${name} must be ${kind} from ${min} to ${max}, got ${JSON.stringify(text)}`)
}

module.exports = { number, parse, UsageError }
