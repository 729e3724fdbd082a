'use strict'

const { ABOUT } = require('./raw.js')
const { baseUrls } = require('./regions.js')

/** Keeps what other parts may know of a sender's options; credentials are not among it. */
function keepAbout(sender, options) {
  const { organization, route } = options
  const facts = { organization, apiUrl: baseUrls(options).apiUrl, route: typeof route === 'string' ? route : route?.path }
  Object.defineProperty(sender, ABOUT, { value: facts })
}

/** `{ organization, apiUrl, route }`, or undefined for what isn't a sender. */
function about(sender) {
  return sender?.[ABOUT]
}

module.exports = { about, keepAbout }
