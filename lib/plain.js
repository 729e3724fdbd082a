'use strict'

/** Whether the value is an object as a literal makes one: no array, no instance of a class. */
function isPlain(value) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype = Object.getPrototypeOf(value)
  // Null, or the end of the chain: so an object of another realm is plain, too.
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

module.exports = { isPlain }
