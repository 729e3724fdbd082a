'use strict'

const DAY_MS = 86_400_000
const HEADERS = /^(retry-after|x-ratelimit-.+|inin-ratelimit-.+|ratelimit(-.+)?|inin-correlation-id|x-request-id|date|via|server)$/
const SECRET = /("(?:access_token|client_secret|password|authorization|token)"\s*:\s*")[^"]*/gi
const BEARER = /\b(Bearer|Basic)\s+[\w.~+/=-]+/gi
const BODY_CHARS_MAX = 2000
const HEADER_CHARS_MAX = 300

/** What a refusal says: `{ waitMs, windowMs, limit }`, each null where it says nothing. Zero, past and absurd values are nothing. */
function readRefusal({ headers, text, receivedAtMs }) {
  const body = parsed(text)
  return {
    waitMs:
      retryAfterMs(headers['retry-after'], receivedAtMs) ??
      resetMs(headers) ??
      secondsMs(/Retry the request in \[(\d+)\] seconds/.exec(text)?.[1]),
    windowMs:
      secondsMs(/within \[(\d+)\] seconds/.exec(text)?.[1]) ?? secondsMs(/;\s*w=(\d+)/.exec(headers['ratelimit-policy'] ?? '')?.[1]),
    limit: limitOf(body?.limit),
  }
}

function retryAfterMs(value, receivedAtMs) {
  if (value === undefined) return null
  if (/^\d+(\.\d+)?$/.test(value)) return secondsMs(value)
  const at = Date.parse(value)
  return Number.isNaN(at) || at <= receivedAtMs ? null : within(at - receivedAtMs)
}

function resetMs(headers) {
  const value =
    headers['x-ratelimit-reset'] ??
    headers['inin-ratelimit-reset'] ??
    headers['ratelimit-reset'] ??
    /;\s*t=(\d+)/.exec(headers.ratelimit ?? '')?.[1]
  return secondsMs(value)
}

function secondsMs(text) {
  return within(Number(text) * 1000)
}

function within(ms) {
  return ms > 0 && ms <= DAY_MS ? ms : null
}

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function limitOf(limit) {
  if (typeof limit?.key !== 'string') return null
  return { key: limit.key, namespace: String(limit.namespace ?? ''), value: Number(limit.value) || null }
}

/** The headers that tell about limits or name the request, as they came. */
function tellingHeaders(headers) {
  return Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => HEADERS.test(name))
      .map(([name, value]) => [name, String(value).slice(0, HEADER_CHARS_MAX)]),
  )
}

/** A body as it came, without what may be secret. `secrets` are texts that must not be shown. */
function withoutSecrets(text, secrets) {
  let shown = text.slice(0, BODY_CHARS_MAX).replace(SECRET, '$1…').replace(BEARER, '$1 …')
  for (const secret of secrets) if (secret) shown = shown.replaceAll(secret, '…')
  return shown
}

module.exports = { readRefusal, tellingHeaders, withoutSecrets }
