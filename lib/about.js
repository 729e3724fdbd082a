'use strict'

const { baseUrls } = require('./regions.js')

// What other parts may know of a sender's options; credentials are not among it.
const known = new WeakMap()

function keepAbout(sender, options) {
  const { organization, route } = options
  known.set(sender, { organization, apiUrl: baseUrls(options).apiUrl, route: typeof route === 'string' ? route : route?.path })
}

/** `{ organization, apiUrl, route }`, or undefined for what isn't a sender. */
function about(sender) {
  return known.get(sender)
}

module.exports = { about, keepAbout }
