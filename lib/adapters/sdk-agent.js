'use strict'

const http = require('node:http')
const https = require('node:https')

const { ConfigError } = require('../errors.js')

const PROXY_VARIABLES = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy']
const TLS_OPTIONS = ['cert', 'key', 'pfx', 'ca', 'passphrase']

/**
 * API calls go over the sender's own connections, which no agent of Node's reaches. One that only tunes connections may
 * be left out; a proxy, or a certificate, must not be: the calls would go another way than their owner believes.
 */
function checkAgent(agent) {
  if (agent === undefined || agent === null) return
  if (TLS_OPTIONS.some((name) => agent.options?.[name] !== undefined) || agent.options?.rejectUnauthorized === false) {
    throw refusal("carries certificates, and API calls go over the sender's own connections: further authorities come from "
      + 'NODE_EXTRA_CA_CERTS, and client certificates are not supported')
  }
  const isPlain = [http.Agent, https.Agent].includes(agent.constructor) && agent.proxy === undefined
  if (isPlain || PROXY_VARIABLES.some((name) => process.env[name])) return
  throw refusal("can't be used for API calls, which go over the sender's own connections: give the proxy by the environment "
    + 'variable HTTPS_PROXY, before the sender is opened')
}

function refusal(rule) {
  return new ConfigError(`httpsAgent ${rule}`, { field: 'httpsAgent' })
}

module.exports = { checkAgent }
