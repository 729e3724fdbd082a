'use strict'

const { ConfigError } = require('../../errors.js')
const { agentFault } = require('../agent.js')
const { caused } = require('./error.js')
const { proxyVariable } = require('../proxy.js')

const NOT_OURS = "can't be honored by spillway/axios, whose API calls go over the sender's own connections"
const TOKEN = "must not be given, since API calls carry the sender's own token: remove it, or make the call by axios' own adapter"
const wherever = (rule) => (value) => (value ? rule : undefined)

/**
 * The options of axios that would have to change how the sender connects: each with the rule that its value breaks, if it
 * breaks one. To ignore them would send a call by another way than its author believes. Those with no entry here are honored,
 * or have no effect in axios' own http adapter either: docs/adapters.md lists them all.
 */
const RULES = {
  auth: wherever(TOKEN),
  socketPath: wherever(NOT_OURS),
  transport: wherever(NOT_OURS),
  lookup: wherever(NOT_OURS),
  family: wherever(NOT_OURS),
  insecureHTTPParser: wherever(NOT_OURS),
  maxRate: (value) => ([].concat(value).some((rate) => rate && Number.isFinite(Number(rate))) ? NOT_OURS : undefined),
  httpVersion: (value) => (Number(value) === 2 ? `2 ${NOT_OURS}, which speak HTTP/1.1` : undefined),
  proxy(value, url) {
    if (value) return `${NOT_OURS}: give the proxy by the environment variable HTTPS_PROXY, before the sender is opened`
    const variable = value === false ? proxyVariable(url) : undefined
    if (variable === undefined) return undefined
    return `false ${NOT_OURS}, and take their proxy from ${variable}: name the API's host in NO_PROXY, before the sender is opened`
  },
  httpAgent: (value, url) => (url.startsWith('http:') ? agentFault(value) : undefined),
  httpsAgent: (value, url) => (url.startsWith('https:') ? agentFault(value) : undefined),
}

/** The rule that a header of the caller's breaks. Those of a connection are left out instead: they mean nothing to the API. */
const HEADER_RULES = {
  Authorization: () => TOKEN,
  'Proxy-Authorization': () => NOT_OURS,
  Host: (value, url) => (value === new URL(url).host ? undefined : NOT_OURS),
}

/** Refuses by name what can't be honored, and what axios itself refuses. */
function checkConfig(axios, config, url, request) {
  const { AxiosError } = axios
  const { httpVersion, sensitiveHeaders } = config
  const bad = (message) => new AxiosError(message, AxiosError.ERR_BAD_OPTION_VALUE, config)
  if (httpVersion !== undefined && Number.isNaN(Number(httpVersion))) {
    throw bad(`Invalid protocol version: '${httpVersion}' is not a number`)
  }
  if (httpVersion !== undefined && ![1, 2].includes(Number(httpVersion))) {
    throw bad(`Unsupported protocol version '${Number(httpVersion)}'`)
  }
  for (const [field, rule] of judged(axios, config, url)) {
    if (rule === undefined) continue
    const message = `${field} ${rule}`
    throw caused(new AxiosError(message, AxiosError.ERR_NOT_SUPPORT, config, request), new ConfigError(message, { field }))
  }
  const isList = Array.isArray(sensitiveHeaders) && sensitiveHeaders.every((name) => typeof name === 'string')
  if (sensitiveHeaders !== undefined && sensitiveHeaders !== null && config.maxRedirects !== 0 && !isList) {
    throw bad('sensitiveHeaders must be an array of strings')
  }
}

/** Everything that has a rule, with the one that it breaks. */
function* judged({ AxiosHeaders }, config, url) {
  for (const [field, ruleOf] of Object.entries(RULES)) yield [field, ruleOf(config[field], url)]
  const { username, password } = new URL(url)
  yield ['url', username || password ? `with a user name or a password ${TOKEN}` : undefined]
  const headers = AxiosHeaders.from(config.headers)
  for (const [name, ruleOf] of Object.entries(HEADER_RULES)) {
    const value = headers.get(name)
    const isSent = value !== undefined && value !== null && value !== false
    yield [`headers.${name}`, isSent ? ruleOf(value, url) : undefined]
  }
}

module.exports = { checkConfig }
