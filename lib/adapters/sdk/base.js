'use strict'

const { invalid } = require('../../checks.js')
const { ConfigError } = require('../../errors.js')

const OLDEST = '211.0.0'

/**
 * What an ApiClient of purecloud-platform-client-v2 gives: the HTTP client that it has, and the abstract class that every
 * other one must extend. Both come from the client itself, so that it may be of any version, and of any of several copies.
 */
function sdkBase(apiClient) {
  if (typeof apiClient?.callApi !== 'function') {
    throw invalid('apiClient', 'an ApiClient of purecloud-platform-client-v2', apiClient)
  }
  if (typeof apiClient.setHttpClient !== 'function' || typeof apiClient.getHttpClient !== 'function') {
    const rule = `must have setHttpClient: purecloud-platform-client-v2 ${OLDEST} or newer is needed`
    throw new ConfigError(`apiClient ${rule}`, { field: 'apiClient' })
  }
  const httpClient = apiClient.getHttpClient()
  return { httpClient, AbstractHttpClient: rootClass(httpClient) }
}

function rootClass(instance) {
  let prototype = Object.getPrototypeOf(instance)
  for (;;) {
    const above = Object.getPrototypeOf(prototype)
    if (above === null || Object.getPrototypeOf(above) === null) return prototype.constructor
    prototype = above
  }
}

module.exports = { sdkBase }
