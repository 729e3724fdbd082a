'use strict'

const http = require('node:http')
const https = require('node:https')

const { PROXY_VARIABLES } = require('./proxy.js')

const TLS_OPTIONS = ['cert', 'key', 'pfx', 'ca', 'passphrase']
/** What may be ignored: it tunes connections, and changes neither where they lead nor whom they trust. */
const TUNING_OPTIONS = new Set([
  'keepAlive',
  'keepAliveMsecs',
  'keepAliveInitialDelay',
  'agentKeepAliveTimeoutBuffer',
  'maxSockets',
  'maxTotalSockets',
  'maxFreeSockets',
  'maxCachedSessions',
  'scheduling',
  'timeout',
  'noDelay',
  'highWaterMark',
  'defaultPort',
  'protocol',
])

/**
 * Why API calls can't do without an agent of Node's that they don't use: they go over the sender's own connections. None for
 * an agent that only tunes connections. A proxy or a certificate must not be ignored: the calls would go another way, or
 * trust others, than their owner believes.
 */
function agentFault(agent) {
  if (!agent) return undefined
  const options = agent.options ?? {}
  if (TLS_OPTIONS.some((name) => options[name] !== undefined) || options.rejectUnauthorized === false) {
    return (
      "carries certificates, and API calls go over the sender's own connections: further authorities come from " +
      'NODE_EXTRA_CA_CERTS, and client certificates are not supported'
    )
  }
  const isPlain =
    [http.Agent, https.Agent].includes(agent.constructor) && !Object.hasOwn(agent, 'createConnection') && agent.proxy === undefined
  if (isPlain) {
    const names = Object.keys(options).filter((name) => isEffective(name, options[name]))
    return names.length === 0 ? undefined : `sets ${names.join(', ')}, and API calls go over the sender's own connections`
  }
  if (PROXY_VARIABLES.some((name) => process.env[name])) return undefined
  return (
    "can't be used for API calls, which go over the sender's own connections: give the proxy by the environment " +
    'variable HTTPS_PROXY, before the sender is opened'
  )
}

function isEffective(name, value) {
  if (value === undefined || value === null || TUNING_OPTIONS.has(name)) return false
  // Both are also the default, and how the sender does it.
  return !(name === 'rejectUnauthorized' && value === true) && !(name === 'proxyEnv' && value === process.env)
}

module.exports = { agentFault }
