'use strict'

// All programs with axios that are run by its own http adapter and by ours, side by side. Each is a function of
// `{ http, axios, url, arrival, agent, Readable }`: an instance, its module, the server's URL, and what resolves when the next request
// has arrived.

const { ANSWERS } = require('./answers.js')
const { BODIES } = require('./bodies.js')
const { LIMITS } = require('./limits.js')
const { ODD } = require('./odd.js')
const { PLUGINS } = require('./plugins.js')
const { AWAY, REDIRECTS } = require('./redirects.js')
const { REQUESTS } = require('./requests.js')

/** By group: names stand once within one. */
const CASES = {
  answers: ANSWERS,
  requests: REQUESTS,
  bodies: BODIES,
  redirects: REDIRECTS,
  'redirects away': AWAY,
  limits: LIMITS,
  odd: ODD,
  plugins: PLUGINS,
}

module.exports = { CASES }
