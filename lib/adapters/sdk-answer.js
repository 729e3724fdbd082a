'use strict'

const { SpillwayError } = require('../errors.js')

/** An answer as the SDK takes it from its HTTP client. */
function sdkResponse({ status, statusText, headers, bytes }) {
  const text = bytes.toString('utf8').replace(/^\ufeff/, '')
  // An empty text is none: the SDK gives its caller `data`, and `text` where that is empty.
  return { status, statusText, headers, data: parsed(text), text: text === '' ? undefined : text }
}

// By content and not by type, as the SDK's own client does.
function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** The answer if it is 2xx; else what the SDK takes for a refusal: an error whose `response` is the answer. */
function judged(response) {
  const { status } = response
  if (status >= 200 && status < 300) return response
  const error = new SpillwayError(`Request failed with status code ${status}`, { code: 'HTTP_STATUS', status })
  // As in a DeliveryError: answers may echo what was sent, which is in no log by chance.
  Object.defineProperty(error, 'response', { value: response, enumerable: false, configurable: true, writable: true })
  throw error
}

module.exports = { judged, sdkResponse }
