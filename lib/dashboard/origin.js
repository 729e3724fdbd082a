'use strict'

// Where a request comes from. A page of another site can have a browser send requests here, and a name of its own that resolves to
// this machine (DNS rebinding) makes them look like those of this page: so names are known, and acts come from this page alone.

const { isIP } = require('node:net')

const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via']
const LOOPBACK = /^(127(\.\d{1,3}){3}|::1|::ffff:127(\.\d{1,3}){3})$/
const AUTHORITY = /^(\[[\da-f:.]+\]|[^:[\]/@\s]+?)\.?(?::(\d{1,5}))?$/i

/** The Host header, in lower case; empty where there is none. */
function hostOf({ headers }) {
  return String(headers.host ?? headers[':authority'] ?? '').toLowerCase()
}

/** Whether the request names this machine: by an address, which nobody can rebind, by a loopback name, or by one of `hosts`. */
function isKnownHost(request, hosts) {
  const host = hostOf(request)
  const [, name] = AUTHORITY.exec(host) ?? []
  if (name === undefined) return false
  return (
    name === 'localhost' || name.endsWith('.localhost') || isIP(name.replace(/^\[|\]$/g, '')) !== 0 || hosts.has(name) || hosts.has(host)
  )
}

/** Whether it comes from this machine, and no proxy has passed it on. */
function isDirectLoopback({ socket, headers }) {
  return LOOPBACK.test(socket?.remoteAddress ?? '') && FORWARDED.every((name) => headers[name] === undefined)
}

/** Whether a browser says that another site has made it; a link that somebody follows is none. */
function isCrossSite({ headers }) {
  const site = headers['sec-fetch-site']
  return site !== undefined && !['same-origin', 'none'].includes(site) && headers['sec-fetch-mode'] !== 'navigate'
}

/** Whether a page of this very origin has made it. Every browser says so of a POST; who says nothing is refused. */
function isSameOrigin(request, hosts) {
  const { origin, 'sec-fetch-site': site } = request.headers
  if (site !== undefined && site !== 'same-origin') return false
  let from
  try {
    from = new URL(origin)
  } catch {
    return false
  }
  return ['http:', 'https:'].includes(from.protocol) && (from.host === hostOf(request) || hosts.has(from.host))
}

module.exports = { isCrossSite, isDirectLoopback, isKnownHost, isSameOrigin }
