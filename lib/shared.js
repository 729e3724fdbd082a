'use strict'

// What all copies of the package in one thread share, whatever their version. The number grows when its shapes change.

const KEY = Symbol.for('spillway.shared/1')

/** The state of this name, which the first copy that asks makes. */
function shared(name, make) {
  if (globalThis[KEY] === undefined) Object.defineProperty(globalThis, KEY, { value: new Map() })
  const states = globalThis[KEY]
  if (!states.has(name)) states.set(name, make())
  return states.get(name)
}

module.exports = { shared }
