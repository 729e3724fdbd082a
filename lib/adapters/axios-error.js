'use strict'

const { SpillwayError } = require('../errors.js')
const { TooManyRedirects } = require('./redirect.js')

// The codes of Node's, by which programs decide; the error of the sender is the cause.
const NETWORK_CODES = [
  [/refused/i, 'ECONNREFUSED'],
  [/dns|resolve|lookup/i, 'ENOTFOUND'],
  [/reset|closed|incomplete|cut|eof/i, 'ECONNRESET'],
]

/** Any failure, as axios would tell it. */
function errorOf(axios, error, { config, request, reason }) {
  const { AxiosError } = axios
  if (reason !== undefined) return reason
  if (error.isAxiosError) return error
  if (error instanceof TooManyRedirects) return AxiosError.from(error, error.code, config, request)
  if (!(error instanceof SpillwayError)) return AxiosError.from(error, error.code, config, request)
  if (error.code === 'DELIVERY_RESPONSE_TOO_LARGE') return caused(tooLarge(AxiosError, config, request), error)
  if (/no answer within \d+ ms/.test(error.message)) return caused(timedOut(AxiosError, config, request), error)
  const wrapped = AxiosError.from(error, codeOf(AxiosError, error), config, request)
  wrapped.name = 'AxiosError'
  return wrapped
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

module.exports = { caused, errorOf }
