'use strict'

const { describe } = require('./describe.js')
const { ConfigError } = require('./errors.js')
const { isPlain } = require('./plain.js')
const { hasLoneSurrogateEscape, isWellFormed } = require('./text.js')

/** What JSON can't carry crosses as `{"$js": what it was}`: the core holds all the rules, and can say what it got. */
const mark = (what) => ({ $js: what })

/**
 * A `JSON.stringify` replacer that loses nothing silently. It takes the value from its holder, `this`: the one that it
 * is given has been through `toJSON` already, and a Date looks like a string there.
 */
function marked(key) {
  const value = this[key]
  switch (typeof value) {
    case 'number':
      return Number.isFinite(value) ? value : mark(String(value))
    case 'string':
      return isWellFormed(value) ? value : mark('string with a lone surrogate')
    case 'bigint':
    case 'function':
    case 'symbol':
      return mark(typeof value)
    case 'undefined':
      // In an object an undefined value is an absent one; in an array it would become null.
      return Array.isArray(this) ? mark('undefined') : undefined
    case 'object':
      if (value === null || Array.isArray(value)) return value
      if (!isPlain(value)) return mark(typeName(value))
      // An object of the caller's must not pass for a mark.
      return '$js' in value ? mark('an object with a key "$js"') : value
    default:
      return value
  }
}

function typeName(value) {
  return Object.getPrototypeOf(value)?.constructor?.name || 'object'
}

/** The JSON text of settings; `what` names them in errors. Rules on their content are the core's. */
function settingsText(settings, what) {
  if (typeof settings !== 'object' || settings === null || Array.isArray(settings)) {
    throw new ConfigError(`${what} must be an object, got ${describe(settings)}`, { field: what })
  }
  let text
  try {
    text = JSON.stringify(settings, marked)
  } catch (cause) {
    throw new ConfigError(`${what} must be a tree without cycles and throwing getters`, { field: what, cause })
  }
  if (hasLoneSurrogateEscape(text)) {
    throw new ConfigError(`${what} must not have a key with a lone surrogate`, { field: what })
  }
  return text
}

/** The options of a sender: their JSON text, and the function that gives access tokens, if there is one. */
function parseOptions(options) {
  const settings = settingsText(options, 'options')
  const { credentials } = options
  const give = credentials?.accessToken
  return { settings, accessToken: typeof give === 'function' ? () => give.call(credentials) : null }
}

module.exports = { parseOptions, settingsText }
