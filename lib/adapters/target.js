'use strict'

const { refused } = require('../checks.js')
const { BASE_URLS } = require('../raw.js')

/**
 * Whose a URL is: `{ kind: 'api', path }` for the sender's own API, `login` for its token host, `foreign` for all others.
 * Only `api` ever gets the sender's token.
 */
function locate(sender, url) {
  const { apiUrl, loginUrl } = sender[BASE_URLS]
  const target = typeof url === 'string' ? new URL(url) : url
  // Gateways and simulators serve both from one origin; there only the token endpoints are the login's.
  const loginArea = new URL(loginUrl).origin === new URL(apiUrl).origin ? '/oauth' : ''
  if (pathUnder(target, loginUrl + loginArea) !== null) return { kind: 'login' }
  const path = pathUnder(target, apiUrl)
  return path === null ? { kind: 'foreign' } : { kind: 'api', path }
}

/** What follows the base, with the query; null if the URL isn't below it. A fragment is for the caller alone. */
function pathUnder(target, base) {
  const { origin, pathname } = new URL(base)
  if (target.origin !== origin) return null
  const prefix = pathname.replace(/\/+$/, '')
  const isUnder = target.pathname === prefix || target.pathname.startsWith(`${prefix}/`)
  return isUnder ? (target.pathname.slice(prefix.length) || '/') + target.search : null
}

/** The refusal of a host that the sender isn't for. Hosts alone are named: a path may hold an id. */
function foreignHost(sender, url) {
  return refused('url', `must be below ${sender[BASE_URLS].apiUrl}, the API of this sender, got one of ${hostOf(url)}`)
}

/** The refusal of a redirect to such a host. */
function foreignRedirect(sender, url) {
  const rule = `is 'refuse', and a redirect leads to ${hostOf(url)}, which is not below ${sender[BASE_URLS].apiUrl}, the API of this sender`
  return refused('otherHosts', rule)
}

// Only URLs of hosts have an origin.
function hostOf(url) {
  const { origin, protocol } = new URL(url)
  return origin === 'null' ? protocol : origin
}

module.exports = { foreignHost, foreignRedirect, locate }
