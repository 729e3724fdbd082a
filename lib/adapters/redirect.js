'use strict'

const { exchange } = require('./exchange.js')
const { locate } = require('./target.js')

/** The redirects of the Fetch standard. */
const FETCH_STATUSES = new Set([301, 302, 303, 307, 308])
/** What describes a body, and goes with it. As in follow-redirects. */
const OF_THE_BODY = /^content-/i
const HOST = /^host$/i
const SECRET = /^(?:authorization|cookie|proxy-authorization)$/i

/** The redirect can't be followed. Named as in follow-redirects, whose errors the users of axios and the SDK know. */
class RedirectError extends Error {
  constructor(cause) {
    super(cause ? `Redirected request failed: ${cause.message}` : 'Redirected request failed', { cause })
    this.code = 'ERR_FR_REDIRECTION_FAILURE'
    this.name = `Error [${this.code}]`
  }
}

/** More redirects than allowed. */
class TooManyRedirects extends Error {
  constructor() {
    super('Maximum number of redirects exceeded')
    this.code = 'ERR_FR_TOO_MANY_REDIRECTS'
    this.name = `Error [${this.code}]`
  }
}

/**
 * A call and the redirects that follow it. Each is a request of its own, inside the budget.
 *
 * - `redirectsMax`: the number that is followed; 0 returns the redirect itself.
 * - `deadline`: of all of them together. Each request gets as `deadlineMs` what is left.
 * - `isRedirect(status)`: the statuses that redirect if there is a `location`. Default: those of the Fetch standard.
 * - `locationOf(headers)`: where an answer leads, undefined for nowhere. Default: an empty `location` leads nowhere.
 * - `ofTheBody`: names of headers that a request without its body doesn't keep.
 * - `secrets`: lower-case names of further headers that never reach another origin.
 * - `beforeRedirect(next, answer, request)`: sees the next request before it is sent, and returns it or another one.
 * - `elsewhere(request, redirectsLeft)`: makes a request to another host than the API's. Its value is returned as
 *   `{ elsewhere }`.
 */
async function follow(
  sender,
  request,
  {
    redirectsMax,
    isRedirect = isFetchRedirect,
    locationOf = filledLocation,
    ofTheBody,
    secrets,
    beforeRedirect,
    elsewhere,
    signal,
    deadline,
  },
) {
  for (let hops = 0; ; hops++) {
    const target = locate(sender, request.url)
    const bounded = { ...request, deadlineMs: deadline.leftMs() }
    if (target.kind !== 'api') return { elsewhere: await elsewhere(bounded, redirectsMax - hops), url: request.url }
    const answer = await exchange(sender, { ...bounded, path: target.path }, signal)
    const location = redirectsMax !== 0 && isRedirect(answer.status) ? locationOf(answer.headers) : undefined
    if (location === undefined) {
      return { ...answer, url: request.url, method: request.method, redirected: hops > 0 }
    }
    if (hops >= redirectsMax) throw new TooManyRedirects()
    request = redirected(request, answer, location, { secrets, ofTheBody, beforeRedirect })
  }
}

function redirected(request, answer, location, { secrets, ofTheBody, beforeRedirect }) {
  try {
    const next = nextRequest(request, answer.status, location, { secrets, ofTheBody })
    return beforeRedirect?.(next, answer, request) ?? next
  } catch (cause) {
    throw new RedirectError(cause)
  }
}

/** The request that a redirect asks for. */
function nextRequest(request, status, location, { secrets = [], ofTheBody = OF_THE_BODY }) {
  const url = urlOf(location, request.url)
  // A server must not be able to choose the answer itself (data:), or a file of this machine (file:).
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new TypeError(`Unsupported protocol ${url.protocol}`)
  // A password is given by the caller, never by a server.
  url.username = url.password = ''
  const { method } = request
  const becomesGet = status === 303 ? method !== 'GET' && method !== 'HEAD' : (status === 301 || status === 302) && method === 'POST'
  const isElsewhere = url.origin !== new URL(request.url).origin
  const isDropped = (name) =>
    HOST.test(name) || (becomesGet && ofTheBody.test(name)) || (isElsewhere && (SECRET.test(name) || secrets.includes(name.toLowerCase())))
  const headers = Object.fromEntries(Object.entries(request.headers ?? {}).filter(([name]) => !isDropped(name)))
  return { ...request, url: url.href, headers, ...(becomesGet ? { method: 'GET', bytes: undefined } : {}) }
}

/** The platform's error would show both URLs, with what is secret in their queries. */
function urlOf(location, base) {
  try {
    return new URL(location, base)
  } catch {
    throw Object.assign(new TypeError('Invalid URL'), { code: 'ERR_INVALID_URL' })
  }
}

function filledLocation({ location }) {
  return location || undefined
}

function isFetchRedirect(status) {
  return FETCH_STATUSES.has(status)
}

module.exports = { follow, RedirectError, TooManyRedirects }
