'use strict'

const { Readable } = require('node:stream')

/**
 * The answer as axios' own http adapter gives it: `transformResponse` comes after. Without `bytes` it has no data. `overflow()` is
 * the error of a body that is longer than the caller allows.
 */
function axiosResponse(axios, config, { status, statusText, headers, bytes }, request, overflow) {
  const response = { status, statusText, headers: new axios.AxiosHeaders(headers), config, request }
  if (bytes === undefined) return response
  const { maxContentLength = -1 } = config
  const isTooLong = maxContentLength > -1 && bytes.length > maxContentLength
  if (isTooLong && config.responseType !== 'stream') throw overflow()
  try {
    response.data = dataOf(config, bytes, isTooLong ? overflow() : undefined)
  } catch (error) {
    throw axios.AxiosError.from(error, null, config, request, response)
  }
  return response
}

function dataOf({ responseType, responseEncoding }, bytes, streamError) {
  if (responseType === 'stream') return streamOf(bytes, streamError)
  if (responseType === 'arraybuffer') return bytes
  const text = bytes.toString(responseEncoding)
  return !responseEncoding || responseEncoding === 'utf8' ? text.replace(/^\ufeff/, '') : text
}

function streamOf(bytes, error) {
  if (error !== undefined)
    return new Readable({
      read() {
        this.destroy(error)
      },
    })
  return Readable.from(bytes.length === 0 ? [] : [bytes], { objectMode: false })
}

/** The answer, if `validateStatus` takes it; else the error that axios makes of it. */
function settle({ AxiosError }, response) {
  const { status, config, request } = response
  if (!status || !config.validateStatus || config.validateStatus(status)) return response
  const code = status >= 400 && status < 500 ? AxiosError.ERR_BAD_REQUEST : AxiosError.ERR_BAD_RESPONSE
  throw new AxiosError(`Request failed with status code ${status}`, code, config, request, response)
}

module.exports = { axiosResponse, settle }
