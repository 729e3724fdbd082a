'use strict'

const WITHOUT_BODY = new Set([101, 103, 204, 205, 304])

/** An answer as a WHATWG Response, which says where it came from. `body` is bytes, or the error that reading it gives. */
function fetchResponse({ status, statusText, headers, body, url, method, redirected }) {
  const content = WITHOUT_BODY.has(status) || method === 'HEAD' ? null : body instanceof Error ? failing(body) : body
  // The constructor takes no other status, and an answer may have any.
  const isUsual = status >= 200 && status <= 599
  const response = new Response(content, { status: isUsual ? status : 200, statusText, headers: headersOf(headers) })
  const facts = { url: url.split('#', 1)[0], redirected, type: 'basic' }
  return stated(response, isUsual ? facts : { ...facts, status, ok: false })
}

/** The answer of another host, to which a redirect has led. */
function redirectedResponse(response) {
  const { url, type } = response
  return stated(response, { url, redirected: true, type })
}

// A header of several lines is one line here, but cookies are a list.
function headersOf({ 'set-cookie': cookies = [], ...others }) {
  const headers = new Headers()
  // Each by itself: a record would lose one that is named __proto__.
  for (const [name, value] of Object.entries(others)) headers.append(name, value)
  for (const cookie of cookies) headers.append('set-cookie', cookie)
  return headers
}

function failing(cause) {
  return new ReadableStream({ pull: (controller) => controller.error(new TypeError('terminated', { cause })) })
}

// No constructor argument sets these, and `clone` would lose them.
function stated(response, facts) {
  const { clone } = response
  const values = { ...facts, clone: () => stated(clone.call(response), facts) }
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(response, name, { value, configurable: true, writable: name === 'clone' })
  }
  return response
}

module.exports = { fetchResponse, redirectedResponse }
