'use strict'

const { clip } = require('./describe.js')

const ERROR_CHARS_MAX = 200

/** What the caller's `accessToken` function gives, as the core is told: `{ token }`, or `{ error }` with the reason. */
async function tokenFrom(accessToken) {
  try {
    return { token: checkToken(await accessToken?.()) }
  } catch (error) {
    return { error: clip(`accessToken failed: ${error?.message ?? 'no reason given'}`, ERROR_CHARS_MAX) }
  }
}

// What isn't a token is described by its type alone: it may hold one.
function checkToken(token) {
  if (typeof token !== 'string') throw new TypeError(`it must give a non-empty string, got ${typeof token}`)
  if (!/^[\x21-\x7e]+$/.test(token)) throw new TypeError('it must give a non-empty string of visible ASCII, no spaces')
  return token
}

module.exports = { tokenFrom }
