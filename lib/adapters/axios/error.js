'use strict'

const { STATUS_CODES } = require('node:http')

const { SpillwayError } = require('../../errors.js')
const { axiosResponse } = require('./response.js')
const { headOf } = require('../exchange.js')

// The codes of Node's, by which programs decide; the error of the sender is the cause.
const NETWORK_CODES = [
  [/refused/i, 'ECONNREFUSED'],
  [/dns|resolve|lookup/i, 'ENOTFOUND'],
  [/NotValidForName/, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  [/certificate.*Expired/i, 'CERT_HAS_EXPIRED'],
  [/certificate/i, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  [/reset|closed|incomplete|cut|eof/i, 'ECONNRESET'],
  [/invalid HTTP/i, 'HPE_INVALID_CONSTANT'],
  [/timed out/i, 'ETIMEDOUT'],
]

/** Any failure, as axios would report it. */
function errorOf(axios, error, { config, request, reason }) {
  const { AxiosError } = axios
  if (reason !== undefined) return reason
  if (error?.isAxiosError) return error
  if (!(error instanceof SpillwayError)) {
    // A stream may fail with anything.
    const thrown = error instanceof Object ? error : new Error(String(error))
    return AxiosError.from(thrown, thrown.code, config, request)
  }
  if (isTooLarge(error)) return caused(tooLarge(AxiosError, config, request), error)
  const head = headOf(error) ?? cutHead(error)
  if (head !== undefined) return bodyFailure(axios, error, { config, request, head })
  if (isTimeout(error)) return caused(timedOut(AxiosError, config, request), error)
  return caused(new AxiosError(error.message, codeOf(AxiosError, error), config, request), error)
}

// What was answered is no failure for an adapter, whatever its status, unless the answer is longer than it may be.
function isTooLarge({ code, status }) {
  return code === 'DELIVERY_RESPONSE_TOO_LARGE' || (code === 'DELIVERY_REJECTED' && status >= 300)
}

function isTimeout({ code, message }) {
  return code === 'DELIVERY_TIMEOUT' || /no (?:answer|connection) within \d+ ms/.test(message)
}

/** Of a good answer that was cut in its body, the core reports the status alone. */
function cutHead({ status }) {
  return status >= 200 && status < 300 ? { status, statusText: STATUS_CODES[status] ?? '', headers: {} } : undefined
}

/** An answer whose body can't be had: axios reports it with the response, which has no data. */
function bodyFailure(axios, error, { config, request, head }) {
  const { AxiosError } = axios
  const response = axiosResponse(axios, config, head, request)
  if (error.cause !== undefined) {
    response.headers.delete('content-encoding')
    return AxiosError.from(error.cause, null, config, request, response)
  }
  return caused(new AxiosError('stream has been aborted', AxiosError.ERR_BAD_RESPONSE, config, request, response), error)
}

function tooLarge(AxiosError, config, request) {
  const { maxContentLength = -1 } = config
  const what = maxContentLength > -1 ? `maxContentLength size of ${maxContentLength}` : 'maxResponseBytes'
  return new AxiosError(`${what} exceeded`, AxiosError.ERR_BAD_RESPONSE, config, request)
}

function timedOut(AxiosError, config, request) {
  const { timeout, timeoutErrorMessage, transitional } = config
  const message = timeoutErrorMessage || (timeout ? `timeout of ${timeout}ms exceeded` : 'timeout exceeded')
  const code = transitional?.clarifyTimeoutError ? AxiosError.ETIMEDOUT : AxiosError.ECONNABORTED
  return new AxiosError(message, code, config, request)
}

function caused(axiosError, cause) {
  Object.defineProperty(axiosError, 'cause', { value: cause, enumerable: false, configurable: true, writable: true })
  return axiosError
}

function codeOf(AxiosError, { code, message }) {
  if (!code.startsWith('DELIVERY_')) return code === 'MESSAGE_INVALID' ? AxiosError.ERR_BAD_REQUEST : code
  return NETWORK_CODES.find(([pattern]) => pattern.test(message))?.[1] ?? AxiosError.ERR_NETWORK
}

module.exports = { caused, errorOf, tooLarge }
