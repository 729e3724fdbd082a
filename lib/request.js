'use strict'

const { isUint8Array } = require('node:util').types
const {
  checkBoolean,
  checkDeadlineMs,
  checkExpiresInMs,
  checkInteger,
  checkObject,
  checkPriority,
  checkRetry,
  invalid,
  refused,
} = require('./checks.js')
const { clip } = require('./describe.js')
const { checkHeaders, NAME: TOKEN } = require('./headers.js')
const { bodyText } = require('./message.js')
const { isPlain } = require('./plain.js')
const { isWellFormed } = require('./text.js')

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const KEYS = new Set([
  'method',
  'path',
  'query',
  'headers',
  'body',
  'priority',
  'timeoutMs',
  'maxResponseBytes',
  'expiresInMs',
  'deadlineMs',
  'retry',
  'idempotent',
])

const PATH_CHARS_MAX = 8 * 1024
const TIMEOUT_MS_MAX = 10 * 60 * 1000
const RESPONSE_BYTES_DEFAULT = 8 * 1024 * 1024
// An answer crosses within a string, and V8's longest has 2 ** 29 - 24 characters: as JSON a byte takes up to six of them
// (\u0001), as base64, in which a raw one crosses, four thirds.
const RESPONSE_BYTES_MAX = 64 * 1024 * 1024
const RAW_RESPONSE_BYTES_MAX = 256 * 1024 * 1024

// URL parsers take a backslash for a slash and drop control characters: "/\host" would leave for another host.
const PATH = /^\/(?![/\\])[\x21\x22\x24-\x5b\x5d-\x7e]*$/
const FORBIDDEN_METHOD = /^(?:CONNECT|TRACE|TRACK)$/i
const TARGET = /^\/[\x21\x22\x24-\x5b\x5d-\x7e]*(?:\?[\x21\x22\x24-\x7e]*)?$/
const DOT_SEGMENT = /^(?:\.|%2e){1,2}$/i

/**
 * The request in the two parts in which it crosses: a head as JSON text, and the body's bytes. With `raw`, any final
 * answer is a success, and its body comes as bytes.
 */
function checkRequest(request, { raw } = {}) {
  checkObject('request', request, KEYS)
  const { method, path, query, headers, body, priority, timeoutMs, expiresInMs, deadlineMs, retry, idempotent } = request
  const { maxResponseBytes = RESPONSE_BYTES_DEFAULT } = request
  if (raw) checkToken(method)
  else if (!METHODS.has(method)) throw invalid('method', `one of ${[...METHODS].join(', ')}`, method)
  const [bytes, contentType] = encodeBody(body)
  const head = {
    method,
    path: (raw ? checkTarget(path) : checkPath(path)) + (query === undefined ? '' : queryText(query, path.includes('?') ? '&' : '?')),
    headers: headersOf(headers, contentType),
    priority: priority === undefined ? undefined : checkPriority(priority),
    timeoutMs: timeoutMs === undefined ? undefined : checkInteger('timeoutMs', timeoutMs, 1, TIMEOUT_MS_MAX),
    maxResponseBytes: checkInteger('maxResponseBytes', maxResponseBytes, 1, raw ? RAW_RESPONSE_BYTES_MAX : RESPONSE_BYTES_MAX),
    expiresInMs: expiresInMs === undefined ? undefined : checkExpiresInMs(expiresInMs),
    deadlineMs: deadlineMs === undefined ? undefined : checkDeadlineMs(deadlineMs),
    retry: retry === undefined ? undefined : checkRetry(retry),
    idempotent: idempotent === undefined ? undefined : checkBoolean('idempotent', idempotent),
    raw,
  }
  return { head: JSON.stringify(head), body: bytes }
}

/** Of the adapters: any method of HTTP but those that are no request for a resource of the API. */
function checkToken(method) {
  if (typeof method === 'string' && TOKEN.test(method) && !FORBIDDEN_METHOD.test(method)) return
  throw invalid('method', 'a method of HTTP other than CONNECT, TRACE and TRACK', method)
}

/** Of the adapters: what a URL parser has made of a URL below the API's, and what therefore stays on its host. */
function checkTarget(path) {
  if (typeof path === 'string' && path.length <= PATH_CHARS_MAX && TARGET.test(path)) return path
  throw invalid('path', `a path on the API host of at most ${PATH_CHARS_MAX} characters`, path)
}

function checkPath(path) {
  if (typeof path !== 'string' || path.length > PATH_CHARS_MAX || !PATH.test(path)) {
    const allowed = `"/" and a path on the API host, percent-encoded, of at most ${PATH_CHARS_MAX} characters`
    throw invalid('path', allowed, path)
  }
  for (const segment of path.split('?', 1)[0].split('/')) {
    if (DOT_SEGMENT.test(segment)) throw invalid('path', 'a path without "." and ".." segments, encoded or not', path)
  }
  return path
}

function queryText(query, separator) {
  if (!isPlain(query)) throw invalid('query', 'a plain object', query)
  const pairs = []
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined) continue
    for (const item of Array.isArray(value) ? value : [value]) pairs.push(queryPair(key, item, Array.isArray(value)))
  }
  return pairs.length === 0 ? '' : separator + pairs.join('&')
}

function queryPair(key, value, inArray) {
  const field = `query.${clip(key)}`
  const scalar = !inArray && (typeof value === 'boolean' || Number.isFinite(value))
  if (typeof value !== 'string' && !scalar) {
    throw invalid(field, 'a string, a finite number, a boolean or an array of strings', value)
  }
  if (!isWellFormed(key) || !isWellFormed(String(value))) throw refused(field, 'must be text without lone surrogates')
  return `${encodeURIComponent(key)}=${encodeURIComponent(value)}`
}

/** The headers with lower-case names, and with the type of the body unless the caller gave one. */
function headersOf(headers, contentType) {
  const checked = checkHeaders(headers)
  if (contentType !== null && !checked.has('content-type')) checked.set('content-type', contentType)
  return Object.fromEntries(checked)
}

function encodeBody(body) {
  if (body === undefined) return [null, null]
  if (isUint8Array(body)) return [body, 'application/octet-stream']
  if (typeof body === 'string') {
    if (!isWellFormed(body)) throw refused('body', 'must hold no lone surrogate')
    return [Buffer.from(body, 'utf8'), 'text/plain; charset=utf-8']
  }
  return [Buffer.from(bodyText(body), 'utf8'), 'application/json']
}

module.exports = { checkRequest, RAW_RESPONSE_BYTES_MAX, TIMEOUT_MS_MAX }
