'use strict'

/** The base of all errors of this package. `code` is stable; messages may be reworded. */
class SpillwayError extends Error {
  constructor(message, { code = 'SPILLWAY_ERROR', cause, ...fields } = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    Object.assign(this, fields)
  }
}

/** An option, a message or an argument is not as it must be. `field` names it. */
class ConfigError extends SpillwayError {
  constructor(message, fields) {
    super(message, { code: 'CONFIG_INVALID', ...fields })
  }
}

/** The outbox is full, and `queue.whenFull` is `'reject'`. */
class QueueFullError extends SpillwayError {
  constructor(message, fields) {
    super(message, { code: 'QUEUE_FULL', ...fields })
  }
}

/** `expiresInMs` passed before the message could be sent. */
class ExpiredError extends SpillwayError {
  constructor(message, fields) {
    super(message, { code: 'EXPIRED', messageId: null, ...fields })
  }
}

/** The server refused for good, or all attempts are spent. */
class DeliveryError extends SpillwayError {
  // Servers echo what was sent to them. On the prototype, an echoed text is there for code that asks, and in no log by chance.
  #response

  constructor(message, { response = null, ...fields } = {}) {
    super(message, {
      code: 'DELIVERY_REJECTED',
      status: null,
      attempts: 0,
      messageId: null,
      ambiguous: false,
      ...fields,
    })
    this.#response = response
  }

  get response() {
    // Whoever copies an error with its prototypes, as axios 1.5 does, reads it of those, too.
    return #response in this ? this.#response : undefined
  }

  set response(value) {
    this.#response = value
  }
}

/** The credentials were refused. */
class AuthError extends SpillwayError {
  constructor(message, fields) {
    super(message, { code: 'AUTH_REJECTED', messageId: null, ...fields })
  }
}

/** The sender is closed, or closing. */
class ClosedError extends SpillwayError {
  constructor(message = 'the sender is closed', fields = undefined) {
    super(message, { code: 'CLOSED', ...fields })
  }
}

/** The store can't read or write. */
class StoreError extends SpillwayError {
  constructor(message, fields) {
    super(message, { code: 'STORE_FAILED', ...fields })
  }
}

const CLASSES = {
  SpillwayError,
  ConfigError,
  QueueFullError,
  ExpiredError,
  DeliveryError,
  AuthError,
  ClosedError,
  StoreError,
}

// On the prototype and not a field of the instance: `stack` takes its first line from it while the error is built.
// Written out and not taken from `constructor.name`: minifiers rename classes.
for (const [name, type] of Object.entries(CLASSES)) {
  Object.defineProperty(type.prototype, 'name', { value: name, configurable: true, writable: true })
}

// An error of another copy of the package is an instance, too: an adapter gets what the sender of another copy throws, and a
// program catches it by the class that it has. A subclass of a program's own is an ordinary one.
for (const [name, type] of Object.entries(CLASSES)) {
  const brand = Symbol.for(`spillway.${name}`)
  Object.defineProperty(type.prototype, brand, { value: true })
  Object.defineProperty(type, Symbol.hasInstance, {
    value(value) {
      return this === type ? value?.[brand] === true : Function.prototype[Symbol.hasInstance].call(this, value)
    },
  })
}

const CLASS_BY_CODE = new Map([
  ['MESSAGE_INVALID', ConfigError],
  ['QUEUE_FULL', QueueFullError],
  ['EXPIRED', ExpiredError],
  ['CLOSED', ClosedError],
])
const CLASS_BY_PREFIX = new Map([
  ['CONFIG', ConfigError],
  ['DELIVERY', DeliveryError],
  ['AUTH', AuthError],
  ['STORE', StoreError],
])

function classOf(code) {
  return CLASS_BY_CODE.get(code) ?? CLASS_BY_PREFIX.get(code.split('_', 1)[0]) ?? SpillwayError
}

/**
 * The error for what the core reports as data. Call it where the caller's stack still is: in an async method, after its
 * `await`; frames above `above` are left out of the stack.
 */
function errorFrom({ message, ...fields }, above = errorFrom) {
  const error = new (classOf(String(fields.code)))(message, fields)
  Error.captureStackTrace(error, above)
  return error
}

/** The error for what the binding threw: its message carries the data as JSON. Anything else is a defect, passed on. */
function errorFromThrown(thrown, above = errorFromThrown) {
  let data
  try {
    data = JSON.parse(thrown.message)
  } catch {
    return thrown
  }
  return typeof data?.code === 'string' ? errorFrom(data, above) : thrown
}

module.exports = { ...CLASSES, errorFrom, errorFromThrown }
