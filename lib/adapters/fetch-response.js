'use strict'

const { splitCookies } = require('./cookies.js')

const WITHOUT_BODY = new Set([101, 103, 204, 205, 304])

/** An answer as a WHATWG Response, which says where it came from. */
function fetchResponse({ status, statusText, headers, bytes, url, method, redirected }) {
  const body = WITHOUT_BODY.has(status) || method === 'HEAD' ? null : bytes
  return located(new Response(body, { status, statusText, headers: headersOf(headers) }), { url, redirected })
}

function headersOf({ 'set-cookie': cookies, ...others }) {
  const headers = new Headers(others)
  if (cookies !== undefined) for (const cookie of splitCookies(cookies)) headers.append('set-cookie', cookie)
  return headers
}

// No constructor argument sets these three, and `clone` would lose them.
function located(response, { url, redirected }) {
  const { clone } = response
  return Object.defineProperties(response, {
    url: { value: url.split('#', 1)[0], configurable: true },
    redirected: { value: redirected, configurable: true },
    type: { value: 'basic', configurable: true },
    clone: { value: () => located(clone.call(response), { url, redirected }), configurable: true, writable: true },
  })
}

module.exports = { fetchResponse }
