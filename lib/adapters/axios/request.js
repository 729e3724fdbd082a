'use strict'

const { isAnyArrayBuffer } = require('node:util').types

const { caused } = require('./error.js')
const { bytesOf, checkLength } = require('../body.js')
const { DECODERS } = require('../decode.js')
const { multipart } = require('../multipart.js')

const ACCEPT_ENCODING = 'gzip, compress, deflate, br'
/** What axios takes out of a header's value rather than send it. */
const NOT_LATIN1 = /[^\t\x20-\x7e\x80-\xff]+/g
const FORM_HEADERS = new Set(['content-type', 'content-length'])

/** Headers and bytes of the request, as axios' http adapter makes them. The data has been through `transformRequest` already. */
async function payload(axios, config, { maxBodyBytes }, { request, signal }) {
  const headers = axios.AxiosHeaders.from(config.headers).normalize()
  headers.set('User-Agent', `axios/${axios.VERSION}`, false)
  headers.set('Accept-Encoding', acceptEncoding(config), false)
  const { maxBodyLength = -1 } = config
  const limit = maxBodyLength > -1 ? Math.min(maxBodyLength, maxBodyBytes) : maxBodyBytes
  try {
    const bytes = await bytesOfData(axios, config, headers, { limit, signal })
    // The sender sets it; `beforeRedirect` sees it.
    if (bytes !== undefined) headers.setContentLength(bytes.length, false)
    return { headers: latin1(headers.toJSON()), bytes }
  } catch (error) {
    // Of bytes axios knows the length before there is a request.
    const made = typeof config.data === 'string' || isBytes(config.data) ? undefined : request
    throw bodyError(axios, error, { config, request: made, isLimitOfAxios: limit === maxBodyLength })
  }
}

function acceptEncoding({ transitional }) {
  const isZstd = transitional?.advertiseZstdAcceptEncoding === true && DECODERS.zstd !== undefined
  return isZstd ? `${ACCEPT_ENCODING}, zstd` : ACCEPT_ENCODING
}

async function bytesOfData({ AxiosError, VERSION }, config, headers, { limit, signal }) {
  const { data, formDataHeaderPolicy } = config
  if (!data) return undefined
  const isForm = typeof data.append === 'function'
  // Forms of the package form-data know their own boundary.
  const formHeaders = isForm && typeof data.getHeaders === 'function' ? data.getHeaders() : undefined
  const kind = kindOf(data)
  if (kind === 'FormData' && formHeaders === undefined) {
    const form = multipart(data, { contentType: headers.getContentType(), tag: `axios-${VERSION}-boundary` })
    headers.setContentType(form.contentType)
    checkLength(form.lengthMin, limit)
    return (await bytesOf(await form.bytes(), limit)).bytes
  }
  if (formHeaders !== undefined) setFormHeaders(headers, formHeaders, formDataHeaderPolicy)
  else if (isBlob(kind)) {
    if (data.size > 0) headers.setContentType(data.type || 'application/octet-stream')
    checkLength(data.size, limit)
  } else if (typeof data !== 'string' && !isBytes(data) && !isStream(data)) {
    const rule = 'Data after transformation must be a string, an ArrayBuffer, a Buffer, or a Stream'
    throw new AxiosError(rule, AxiosError.ERR_BAD_REQUEST, config)
  }
  return (await bytesOf(isBlob(kind) ? await data.arrayBuffer() : data, limit, signal)).bytes
}

function kindOf(data) {
  return Object.prototype.toString.call(data).slice('[object '.length, -1)
}

function isBlob(kind) {
  return kind === 'Blob' || kind === 'File'
}

function isBytes(data) {
  return ArrayBuffer.isView(data) || isAnyArrayBuffer(data)
}

/** More than axios takes: streams of the web as well. */
function isStream(data) {
  return typeof data.pipe === 'function' || typeof data.getReader === 'function'
}

function setFormHeaders(headers, formHeaders, policy) {
  for (const [name, value] of Object.entries(formHeaders)) {
    if (policy !== 'content-only' || FORM_HEADERS.has(name.toLowerCase())) headers.set(name, value)
  }
}

function latin1(headers) {
  const clean = (value) =>
    Array.isArray(value)
      ? value.map(clean)
      : String(value)
          .replace(NOT_LATIN1, '')
          .replace(/^[\t ]+|[\t ]+$/g, '')
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, clean(value)]))
}

function bodyError({ AxiosError, CanceledError }, error, { config, request, isLimitOfAxios }) {
  // A stream that somebody destroyed, without an error of its own.
  if (error.code === 'ERR_STREAM_PREMATURE_CLOSE')
    return caused(new CanceledError('Request stream has been aborted', config, request), error)
  if (error.field !== 'body' || !isLimitOfAxios) return error
  return caused(new AxiosError('Request body larger than maxBodyLength limit', AxiosError.ERR_BAD_REQUEST, config, request), error)
}

module.exports = { payload }
