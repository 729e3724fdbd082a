'use strict'

const { exchange } = require('./exchange.js')
const { locate } = require('./target.js')

const STATUSES = new Set([301, 302, 303, 307, 308])
const OF_THE_BODY = /^content-/i
const SECRET = /^(?:authorization|cookie|proxy-authorization|host)$/i

/** More redirects than were allowed; named as follow-redirects does, by which axios' users know it. */
class TooManyRedirects extends Error {
  constructor() {
    super('Maximum number of redirects exceeded')
    this.code = 'ERR_FR_TOO_MANY_REDIRECTS'
    this.name = `Error [${this.code}]`
  }
}

/**
 * A call and the redirects that follow it; each is a request of its own, inside the budget. When one leads to another
 * host, `elsewhere(request)` goes on there, without secrets, and its value comes back as `{ elsewhere }`.
 */
async function follow(sender, request, { redirectsMax, elsewhere, signal }) {
  for (let hops = 0; ; hops++) {
    const target = locate(sender, request.url)
    if (target.kind !== 'api') return { elsewhere: await elsewhere(request), url: request.url }
    const answer = await exchange(sender, { ...request, path: target.path }, signal)
    const next = redirectsMax > 0 ? nextRequest(request, answer) : null
    if (next === null) return { ...answer, url: request.url, method: request.method, redirected: hops > 0 }
    if (hops >= redirectsMax) throw new TooManyRedirects()
    request = next
  }
}

/** The request that a redirect asks for; null if the answer is none. */
function nextRequest(request, { status, headers }) {
  if (!STATUSES.has(status) || !headers.location) return null
  const url = new URL(headers.location, request.url)
  const { method } = request
  const becomesGet = status === 303 ? method !== 'GET' && method !== 'HEAD' : status < 303 && method === 'POST'
  const others = (pattern, from) => Object.fromEntries(Object.entries(from).filter(([name]) => !pattern.test(name)))
  let kept = request.headers ?? {}
  if (becomesGet) kept = others(OF_THE_BODY, kept)
  if (url.origin !== new URL(request.url).origin) kept = others(SECRET, kept)
  return {
    ...request,
    url: url.href,
    headers: kept,
    ...(becomesGet ? { method: 'GET', bytes: undefined } : {}),
  }
}

module.exports = { follow, TooManyRedirects }
