'use strict'

// The default client of the SDK is axios: what it does with params and data is what the API has always got from the SDK.

const UNESCAPED = { '%3A': ':', '%24': '$', '%2C': ',', '%20': '+' }

/** The URL with its params, which are strings by now: lists are joined by the SDK. */
function urlWith(url, params) {
  const pairs = []
  for (const [key, value] of Object.entries(params ?? {})) {
    if (value === undefined) continue
    pairs.push(`${encode(key)}=${encode(value === null ? '' : String(value))}`)
  }
  if (pairs.length === 0) return url
  return url + (url.includes('?') ? '&' : '?') + pairs.join('&')
}

function encode(text) {
  return encodeURIComponent(text).replace(/%(?:3A|24|2C|20)/g, (code) => UNESCAPED[code])
}

/** The data as a body: text, bytes, a form or a stream, and its type where the headers have none. */
function encodeData(data, contentType) {
  if (!data) return { body: undefined }
  if (isBody(data)) return { body: data }
  if (typeof data === 'object' && contentType.includes('application/x-www-form-urlencoded')) {
    return { body: formText(data) }
  }
  if (typeof data !== 'object' && !contentType.includes('application/json')) {
    return { body: String(data), contentType: 'application/x-www-form-urlencoded' }
  }
  return { body: jsonText(data), contentType: 'application/json' }
}

function isBody(data) {
  return (
    ArrayBuffer.isView(data) ||
    data instanceof ArrayBuffer ||
    data instanceof FormData ||
    data instanceof Blob ||
    data instanceof URLSearchParams ||
    typeof data.pipe === 'function' ||
    typeof data.getReader === 'function'
  )
}

/** A string that is JSON already stays as it is. */
function jsonText(data) {
  if (typeof data === 'string') {
    try {
      JSON.parse(data)
      return data.trim()
    } catch {}
  }
  return JSON.stringify(data)
}

function formText(data) {
  const form = new URLSearchParams()
  for (const [key, value] of Object.entries(data)) {
    const isList = Array.isArray(value)
    for (const item of isList ? value : [value]) {
      if (item === undefined || (isList && item === null)) continue
      form.append(isList ? `${key}[]` : key, item === null ? '' : String(item))
    }
  }
  return form.toString()
}

module.exports = { encodeData, urlWith }
