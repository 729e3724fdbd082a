'use strict'

const { refused } = require('../checks.js')

/** By lower-case name: the usual spelling, and why the sender can't send it. */
const RULES = {
  authorization: ['Authorization', "calls of the sender's API carry the sender's own token"],
  'proxy-authorization': ['Proxy-Authorization', "calls of the sender's API go over the sender's own connections"],
}

/** Refuses a caller's own credentials among headers, given as pairs: they are neither replaced nor left out silently. */
function refuseCredentials(headers, { isLowerCase = false } = {}) {
  for (const [name, value] of headers) {
    const lower = name.toLowerCase()
    if (!Object.hasOwn(RULES, lower) || value === undefined || value === null || value === false) continue
    const [usual, why] = RULES[lower]
    throw refused(`headers.${isLowerCase ? lower : usual}`, `must not be given: ${why}`)
  }
}

module.exports = { refuseCredentials }
