'use strict'

const PROXY_VARIABLES = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy']

/**
 * The environment variable by which calls to this URL go through a proxy; undefined if they don't. The engine reads the
 * environment by itself when the sender is opened. This is its rule, short of address ranges in `NO_PROXY`.
 */
function proxyVariable(url, env = process.env) {
  const { protocol, hostname } = new URL(url)
  const scheme = protocol.slice(0, -1)
  const applies = (name) => env[name] && [scheme, 'all'].includes(name.toLowerCase().replace('_proxy', ''))
  const exceptions = (env.NO_PROXY ?? env.no_proxy ?? '').split(',').map((entry) => entry.trim().replace(/^\*?\./, ''))
  const isExcepted = exceptions.some((entry) => entry === '*' || hostname === entry || (entry !== '' && hostname.endsWith(`.${entry}`)))
  return isExcepted ? undefined : PROXY_VARIABLES.find(applies)
}

module.exports = { PROXY_VARIABLES, proxyVariable }
