'use strict'

const { invalid } = require('../../checks.js')
const { ConfigError } = require('../../errors.js')
const { BASE_URLS } = require('../../raw.js')
const { cancellation } = require('./cancel.js')
const { checkConfig } = require('./config.js')
const { errorOf, tooLarge } = require('./error.js')
const { reportProgress } = require('./progress.js')
const { redirectedConfig, redirectPolicy } = require('./redirect.js')
const { payload } = require('./request.js')
const { axiosResponse, settle } = require('./response.js')
const { boundOf, Deadline } = require('../deadline.js')
const { callOptions, checkAdapterOptions, checkSender } = require('../options.js')
const { follow } = require('../redirect.js')
const { foreignHost, foreignRedirect, locate } = require('../target.js')

const OTHER_HOSTS = ['refuse', 'pass']
const SHORT_BYTES = 64 * 1024

/** An adapter for axios 1.x, through which its calls spend from the sender's budget. See index.d.ts. */
function createAdapter(sender, options = {}) {
  checkSender(sender)
  const checked = checkAdapterOptions(options, ['axios', 'otherHosts', 'timeoutPer'])
  const { otherHosts = 'refuse', axios = loadAxios() } = options
  if (!OTHER_HOSTS.includes(otherHosts)) throw invalid('otherHosts', "'refuse' or 'pass'", otherHosts)
  if (typeof axios?.AxiosError?.from !== 'function' || typeof axios.getAdapter !== 'function') {
    throw new ConfigError('axios must be axios 1.5.0 or newer', { field: 'axios' })
  }
  const ordinary = axios.getAdapter('http')
  return async function spillwayAdapter(config) {
    const address = addressOf(axios, sender, config)
    const { kind } = locate(sender, address)
    if (kind === 'login' || (kind === 'foreign' && otherHosts === 'pass')) return ordinary(config)
    if (kind === 'foreign') throw axios.AxiosError.from(foreignHost(sender, address), axios.AxiosError.ERR_BAD_REQUEST, config)
    return call({ axios, sender, ordinary, otherHosts, options: checked }, config, address)
  }
}

function loadAxios() {
  try {
    return require('axios')
  } catch (cause) {
    throw new ConfigError('axios is not installed here: give it as the option axios', { field: 'axios', cause })
  }
}

/** The address as axios writes it, still without its params; a path alone is one of the sender's API. */
function addressOf(axios, sender, { baseURL, url, allowAbsoluteUrls }) {
  const text = uri(axios, { baseURL, url, allowAbsoluteUrls })
  const address = new URL(/^\/(?!\/)/.test(text) ? sender[BASE_URLS].apiUrl + text : text)
  address.hash = ''
  return address.href
}

function withParams(axios, address, config) {
  const { url, params, paramsSerializer } = config
  try {
    return new URL(uri(axios, { url: address, params, paramsSerializer })).href
  } catch (error) {
    const { AxiosError } = axios
    throw AxiosError.from(error, AxiosError.ERR_BAD_REQUEST, config, null, null, { url, exists: true })
  }
}

function uri({ Axios }, config) {
  return Axios.prototype.getUri.call({ defaults: {} }, config)
}

async function call({ axios, sender, ordinary, otherHosts, options }, config, address) {
  const own = callOptions('config.spillway', config.spillway, options, ['timeoutPer'])
  const method = (config.method ?? 'get').toUpperCase()
  const url = withParams(axios, address, config)
  const request = requestObject(method, url)
  const cancel = cancellation(axios, config, request)
  try {
    checkConfig(axios, config, url, request)
    const timeoutMs = timeoutOf(axios, config, request)
    const deadline = new Deadline(boundOf(own, timeoutMs))
    const { headers, bytes } = await deadline.within(cancel.signal, (signal) => payload(axios, config, own, { request, signal }))
    const answer = await follow(
      sender,
      {
        ...own,
        url,
        method,
        headers,
        bytes,
        timeoutMs,
        isBare: true,
        isNodes: true,
        decompress: config.decompress !== false,
        maxResponseBytes: bytesToRead(own, config),
      },
      {
        ...redirectPolicy(config),
        signal: cancel.signal,
        deadline,
        elsewhere(next, redirectsLeft) {
          const isRefused = otherHosts === 'refuse' && locate(sender, next.url).kind === 'foreign'
          if (isRefused) throw foreignRedirect(sender, next.url)
          return onTheOtherHost(ordinary, config, redirectedConfig(axios, config, next, redirectsLeft))
        },
      },
    )
    if (answer.elsewhere !== undefined) return answer.elsewhere
    Object.assign(request, requestObject(answer.method, answer.url))
    reportProgress(config, bytes, answer)
    return settle(
      axios,
      axiosResponse(axios, config, answer, request, () => tooLarge(axios.AxiosError, config, request)),
    )
  } catch (error) {
    throw errorOf(axios, error, { config, request, reason: cancel.reason() })
  } finally {
    cancel.end()
  }
}

/** Short bodies are read whole, whatever the limit: one of a redirect doesn't count, and of a refusal the status does. */
function bytesToRead({ maxResponseBytes }, { maxContentLength = -1 }) {
  return maxContentLength > -1 ? Math.min(maxResponseBytes, Math.max(SHORT_BYTES, maxContentLength)) : maxResponseBytes
}

/** The outcome of the redirected call, with the config of the original one. */
async function onTheOtherHost(ordinary, config, redirected) {
  try {
    return { ...(await ordinary(redirected)), config }
  } catch (error) {
    if (error.config === redirected) error.config = config
    if (error.response?.config === redirected) error.response.config = config
    throw error
  }
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
  const { protocol, hostname, pathname, search } = new URL(url)
  return { method, protocol, host: hostname.replace(/^\[|\]$/g, ''), path: pathname + search, res: { responseUrl: url } }
}

module.exports = { createAdapter }
