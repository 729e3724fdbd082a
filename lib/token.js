'use strict'

const { clip, withoutUrlSecrets } = require('./describe.js')

const ERROR_CHARS_MAX = 200

/**
 * What the caller's `accessToken` function gives, as the core is told: `{ token }`; `{ failure }` where it threw, so that it may give
 * one later; or `{ problem }` where it gave something else.
 */
async function tokenFrom(accessToken) {
  let given
  try {
    given = await accessToken?.()
  } catch (error) {
    return { failure: told(error) }
  }
  try {
    return { token: checkToken(given) }
  } catch (error) {
    return { problem: told(error) }
  }
}

function told(error) {
  let reason
  try {
    reason = withoutUrlSecrets(String(error?.message ?? 'no reason given'))
  } catch {
    reason = 'no reason given'
  }
  return clip(`accessToken failed: ${reason}`, ERROR_CHARS_MAX)
}

// What isn't a token is described by its type alone: it may hold one.
function checkToken(token) {
  if (typeof token !== 'string') throw new TypeError(`it must give a non-empty string, got ${typeof token}`)
  if (!/^[\x21-\x7e]+$/.test(token)) throw new TypeError('it must give a non-empty string of visible ASCII, no spaces')
  return token
}

module.exports = { tokenFrom }
