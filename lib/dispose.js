'use strict'

/** The key of `await using`. Node 18 before 18.18 has none; transpilers agree on this one there. */
const asyncDispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')

module.exports = { asyncDispose }
