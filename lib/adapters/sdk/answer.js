'use strict'

const { AuthError, DeliveryError, SpillwayError } = require('../../errors.js')

/** An answer as the SDK takes it from its HTTP client. */
function sdkResponse({ status, statusText, headers, bytes }) {
  // The SDK gives its caller `data`, and `text` where that is falsy. Its own client has no text, so neither has this one: an answer
  // of `false` is undefined with both, and not the text "false" with one.
  return { status, statusText, headers, data: parsed(bytes.toString('utf8').replace(/^\ufeff/, '')), text: undefined }
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
  throw withResponse(error, response)
}

/**
 * A failure without an answer, as the SDK takes it. Refused credentials are a 401 there, which is how programs know them. What a
 * DeliveryError has as its response is a body: the SDK would take it for an answer, and look for `data` in it.
 */
function failed(error) {
  if (error instanceof AuthError) {
    const data = { message: error.message, code: 'bad.credentials', status: 401 }
    withResponse(error, { status: 401, statusText: 'Unauthorized', headers: {}, data, text: undefined })
  } else if (error instanceof DeliveryError) {
    withResponse(error, null)
  }
  throw error
}

// As in a DeliveryError: answers may echo what was sent, which is in no log by chance.
function withResponse(error, response) {
  return Object.defineProperty(error, 'response', { value: response, enumerable: false, configurable: true, writable: true })
}

module.exports = { failed, judged, sdkResponse }
