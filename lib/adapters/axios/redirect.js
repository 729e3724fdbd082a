'use strict'

const { ConfigError } = require('../../errors.js')

/** As follow-redirects, which axios uses. */
const REDIRECTS_MAX = 21
/** What a callback may change in `options` to some effect. The rest of follow-redirects' options belongs to a connection. */
const OF_A_CONNECTION = ['agent', 'agents', 'auth', 'createConnection', 'family', 'lookup', 'nativeProtocols', 'socketPath']

/** How redirects are followed: as axios does by follow-redirects. */
function redirectPolicy({ maxRedirects, sensitiveHeaders, beforeRedirect }) {
  return {
    redirectsMax: maxRedirects ?? REDIRECTS_MAX,
    isRedirect: (status) => status >= 300 && status < 400,
    secrets: (sensitiveHeaders ?? []).map((name) => name.toLowerCase()),
    beforeRedirect: typeof beforeRedirect === 'function' ? viaCallback(beforeRedirect) : undefined,
  }
}

/** The caller's `beforeRedirect` sees the next request as options of Node's http, and may change it, or throw. */
function viaCallback(beforeRedirect) {
  return (next, { status, headers }, { url, method, headers: sent }) => {
    const options = optionsOf(next)
    beforeRedirect(options, { headers, statusCode: status }, { url, method, headers: { Host: new URL(url).host, ...sent } })
    const changed = OF_A_CONNECTION.find((name) => options[name] !== undefined)
    if (changed === undefined) return requestOf(options, next)
    throw new ConfigError(`beforeRedirect must not set ${changed}: redirects within the API use the sender's own connections`, {
      field: 'beforeRedirect',
    })
  }
}

function optionsOf({ url, method, headers }) {
  const { protocol, hostname, host, port, href, pathname, search, hash } = new URL(url)
  return {
    method,
    headers,
    protocol,
    host,
    hostname: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? '' : Number(port),
    href,
    path: pathname + search,
    pathname,
    search,
    hash,
  }
}

function requestOf({ method, headers, protocol, host, hostname, port, path }, next) {
  const name = hostname || host
  const authority = name.includes(':') && !name.startsWith('[') ? `[${name}]` : name
  const url = new URL(`${protocol}//${authority}${port ? `:${port}` : ''}${path}`).href
  return { ...next, url, method: method.toUpperCase(), headers: headers ?? {} }
}

/** The config by which axios itself makes the rest of the way, on another host. */
function redirectedConfig(axios, config, { url, method, headers, bytes, deadlineMs }, redirectsLeft) {
  return {
    ...config,
    url,
    method,
    data: bytes,
    baseURL: undefined,
    params: undefined,
    auth: undefined,
    headers: new axios.AxiosHeaders(headers),
    timeout: deadlineMs === undefined ? config.timeout : Math.ceil(deadlineMs),
    // 0 would give a further redirect as the answer.
    maxRedirects: redirectsLeft > 0 ? redirectsLeft : -1,
  }
}

module.exports = { redirectedConfig, redirectPolicy }
