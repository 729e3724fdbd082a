'use strict'

const { checkObject, invalid } = require('../checks.js')
const { ConfigError } = require('../errors.js')
const { BASE_URLS } = require('../raw.js')
const { cancellation } = require('./axios-cancel.js')
const { caused, errorOf } = require('./axios-error.js')
const { axiosResponse, settle } = require('./axios-response.js')
const { bytesOf } = require('./body.js')
const { checkAdapterOptions, checkSender } = require('./options.js')
const { follow } = require('./redirect.js')
const { foreignHost, locate } = require('./target.js')

/** As follow-redirects, which axios uses. */
const REDIRECTS_MAX = 21
const OTHER_HOSTS = ['refuse', 'pass']
const CALL_KEYS = new Set(['priority', 'expiresInMs', 'maxBodyBytes', 'maxResponseBytes'])

/** An adapter for axios 1.x, through which its calls spend from the sender's budget. See axios.d.ts. */
function createAdapter(sender, options = {}) {
  checkSender(sender)
  const checked = checkAdapterOptions(options, ['axios', 'otherHosts'])
  const { otherHosts = 'refuse', axios = loadAxios() } = options
  if (!OTHER_HOSTS.includes(otherHosts)) throw invalid('otherHosts', "'refuse' or 'pass'", otherHosts)
  if (typeof axios?.AxiosError?.from !== 'function' || typeof axios.getAdapter !== 'function') {
    throw new ConfigError('axios must be axios 1.5.0 or newer', { field: 'axios' })
  }
  const ordinary = axios.getAdapter('http')
  return async function spillwayAdapter(config) {
    const url = urlOf(axios, sender, config)
    const { kind } = locate(sender, url)
    if (kind === 'login' || (kind === 'foreign' && otherHosts === 'pass')) return ordinary(config)
    if (kind === 'foreign') throw axios.AxiosError.from(foreignHost(sender, url), axios.AxiosError.ERR_BAD_REQUEST, config)
    return call({ axios, sender, ordinary, options: checked }, config, url)
  }
}

function loadAxios() {
  try {
    return require('axios')
  } catch (cause) {
    throw new ConfigError('axios is not installed here: give it as the option axios', { field: 'axios', cause })
  }
}

/** The address as axios itself writes it; a path alone is one of the sender's API. */
function urlOf(axios, sender, config) {
  const text = axios.Axios.prototype.getUri.call({ defaults: {} }, config)
  const url = /^\/(?!\/)/.test(text) ? sender[BASE_URLS].apiUrl + text : text
  return new URL(url).href
}

async function call({ axios, sender, ordinary, options }, config, url) {
  const own = { ...options, ...callOptions(config, options) }
  const method = (config.method ?? 'get').toUpperCase()
  const request = requestObject(method, url)
  const cancel = cancellation(axios, config, request)
  try {
    const { headers, bytes } = await payload(axios, config, own, cancel.signal)
    const { maxContentLength = -1, maxRedirects = REDIRECTS_MAX } = config
    const answer = await follow(
      sender,
      {
        ...own, url, method, headers, bytes,
        timeoutMs: timeoutOf(axios, config, request),
        decompress: config.decompress !== false,
        maxResponseBytes: maxContentLength > -1 ? Math.min(own.maxResponseBytes, Math.max(1, maxContentLength)) : own.maxResponseBytes,
      },
      { redirectsMax: maxRedirects, signal: cancel.signal, elsewhere: (next) => ordinary(redirected(axios, config, next)) },
    )
    if (answer.elsewhere !== undefined) return answer.elsewhere
    Object.assign(request, requestObject(answer.method, answer.url))
    report(config.onDownloadProgress, answer.bytes.length, { download: true })
    return settle(axios, axiosResponse(axios, config, answer, request))
  } catch (error) {
    throw errorOf(axios, error, { config, request, reason: cancel.reason() })
  } finally {
    cancel.end()
  }
}

/** `config.spillway`: the options of this call alone. */
function callOptions(config, defaults) {
  if (config.spillway === undefined) return undefined
  return checkAdapterOptions({ ...withoutUndefined(defaults), ...checkObject('config.spillway', config.spillway, CALL_KEYS) })
}

function withoutUndefined(object) {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined))
}

/** Headers and bytes of the request. The data has been through `transformRequest` already. */
async function payload(axios, config, { maxBodyBytes }, signal) {
  const { AxiosError } = axios
  const headers = axios.AxiosHeaders.from(config.headers).normalize()
  headers.set('User-Agent', `axios/${axios.VERSION}`, false)
  const { data, maxBodyLength = -1 } = config
  if (data === undefined || data === null || data === '' || data === false) return { headers: headers.toJSON() }
  const limit = maxBodyLength > -1 ? Math.min(maxBodyLength, maxBodyBytes) : maxBodyBytes
  // Forms of the package form-data know their own boundary.
  if (typeof data.getHeaders === 'function') headers.set(data.getHeaders())
  let body
  try {
    body = await bytesOf(data, limit, signal)
  } catch (error) {
    if (limit !== maxBodyLength || error.field !== 'body') throw error
    throw caused(new AxiosError('Request body larger than maxBodyLength limit', AxiosError.ERR_BAD_REQUEST, config), error)
  }
  if (body.contentType !== undefined) headers.set('Content-Type', body.contentType)
  report(config.onUploadProgress, body.bytes.length, { upload: true })
  return { headers: headers.toJSON(), bytes: body.bytes }
}

function report(listener, loaded, direction) {
  if (typeof listener !== 'function') return
  listener({ loaded, total: loaded, progress: 1, bytes: loaded, lengthComputable: true, ...direction })
}

function timeoutOf(axios, config, request) {
  if (!config.timeout) return undefined
  const timeout = Number.parseInt(config.timeout, 10)
  if (!Number.isNaN(timeout)) return timeout
  const { AxiosError } = axios
  throw new AxiosError('error trying to parse `config.timeout` to int', AxiosError.ERR_BAD_OPTION_VALUE, config, request)
}

/** What stands for the request: programs read from it where the answer came from. */
function requestObject(method, url) {
  const { protocol, host, pathname, search } = new URL(url)
  return { method, protocol, host, path: pathname + search, res: { responseUrl: url } }
}

function redirected(axios, config, { url, method, headers, bytes }) {
  return { ...config, url, method, data: bytes, baseURL: undefined, params: undefined, auth: undefined, headers: new axios.AxiosHeaders(headers) }
}

module.exports = { createAdapter }
