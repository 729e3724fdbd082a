'use strict'

const { Readable } = require('node:stream')

const { splitCookies } = require('./cookies.js')

/** The answer as axios' own http adapter gives it: `transformResponse` comes after. */
function axiosResponse(axios, config, { status, statusText, headers, bytes }, request) {
  const { 'set-cookie': cookies, ...others } = headers
  const listed = cookies === undefined ? others : { ...others, 'set-cookie': splitCookies(cookies) }
  return { data: dataOf(config, bytes), status, statusText, headers: new axios.AxiosHeaders(listed), config, request }
}

function dataOf({ responseType, responseEncoding }, bytes) {
  if (responseType === 'stream') return Readable.from(bytes.length === 0 ? [] : [bytes], { objectMode: false })
  if (responseType === 'arraybuffer') return bytes
  const text = bytes.toString(responseEncoding)
  return !responseEncoding || responseEncoding === 'utf8' ? text.replace(/^\ufeff/, '') : text
}

/** The answer, if `validateStatus` takes it; else the error that axios makes of it. */
function settle({ AxiosError }, response) {
  const { status, config, request } = response
  if (!status || !config.validateStatus || config.validateStatus(status)) return response
  const code = status >= 400 && status < 500 ? AxiosError.ERR_BAD_REQUEST : AxiosError.ERR_BAD_RESPONSE
  throw new AxiosError(`Request failed with status code ${status}`, code, config, request, response)
}

module.exports = { axiosResponse, settle }
