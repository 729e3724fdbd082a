'use strict'

const { refused } = require('../../checks.js')
const { bytesOf } = require('../body.js')
const { refuseCredentials } = require('../credentials.js')
const { boundOf, Deadline } = require('../deadline.js')
const { callOptions, checkAdapterOptions, checkSender } = require('../options.js')
const { follow } = require('../redirect.js')
const { checkAgent } = require('./agent.js')
const { failed, judged, sdkResponse } = require('./answer.js')
const { sdkBase } = require('./base.js')
const { encodeData, urlWith } = require('./encode.js')
const { foreignHost, locate } = require('../target.js')

/** As the SDK's own client allows. */
const REDIRECTS_MAX = 21
// Guests authenticate by a token of their conversation: the organization's must not take its place.
const GUEST_PATH = /^\/api\/v2\/webchat\/guest\//

const CLIENT = Symbol('spillway.sdkClient')
/** One class for each copy of the SDK: `setHttpClient` takes only instances of its own abstract class. */
const classes = new WeakMap()

/** Makes every call of an ApiClient go through the sender. Gives the HTTP client that does so. */
function useSpillway(apiClient, sender, options) {
  const httpClient = new SpillwayHttpClient(apiClient, sender, options)
  apiClient.setHttpClient(httpClient)
  return httpClient
}

/** An HTTP client for `apiClient.setHttpClient`. It extends the AbstractHttpClient of the SDK that the ApiClient is of. */
class SpillwayHttpClient {
  constructor(apiClient, sender, options) {
    const { httpClient, AbstractHttpClient } = sdkBase(apiClient)
    checkSender(sender)
    const checked = checkAdapterOptions(options, ['timeoutPer'])
    checkAgent(apiClient.proxyAgent)
    // Another sender's client is replaced, not called: its inner one still calls the login.
    const ordinary = httpClient[CLIENT]?.ordinary ?? httpClient
    if (!classes.has(AbstractHttpClient)) classes.set(AbstractHttpClient, clientClass(AbstractHttpClient))
    // biome-ignore lint/correctness/noConstructorReturn: its class is that of the SDK that it is for
    return new (classes.get(AbstractHttpClient))({ sender, ordinary, apiClient, options: checked })
  }

  static [Symbol.hasInstance](value) {
    return value?.[CLIENT] !== undefined
  }
}

function clientClass(AbstractHttpClient) {
  return class SpillwayHttpClient extends AbstractHttpClient {
    #timeoutIsSet = false

    constructor(inner) {
      super()
      Object.defineProperty(this, CLIENT, { value: inner })
    }

    setTimeout(timeout) {
      super.setTimeout(timeout)
      this.#timeoutIsSet = true
      this[CLIENT].ordinary.setTimeout(timeout)
    }

    setHttpsAgent(agent) {
      checkAgent(agent)
      super.setHttpsAgent(agent)
      // The login still goes by it.
      this[CLIENT].ordinary.setHttpsAgent(agent)
    }

    // The hooks are looked up when they are due.
    enableHooks() {}

    setPreHook(hook) {
      this.preHook = checkHook('preHook', hook, '(config)')
    }

    setPostHook(hook) {
      this.postHook = checkHook('postHook', hook, '(response)')
    }

    async request(options) {
      const { sender, ordinary } = this[CLIENT]
      const { kind, path } = locate(sender, options.url)
      if (kind === 'login' || GUEST_PATH.test(path)) return ordinary.request(options)
      if (kind === 'foreign') throw foreignHost(sender, options.url)
      checkCredentials(options.url)
      const config = await this.#configOf(options)
      const response = await call(this[CLIENT], config, options)
      return typeof this.postHook === 'function' ? await this.postHook(response) : response
    }

    /** The call as a hook sees it, and may change it. */
    async #configOf({ url, method, headers, params, data, timeout }) {
      const config = { url, method, headers: { ...headers }, params, data, timeout: this.#timeoutIsSet ? this.timeout : timeout }
      return (typeof this.preHook === 'function' ? await this.preHook(config) : config) ?? config
    }
  }
}

// The SDK's own client would send them instead of a token.
function checkCredentials(url) {
  const { username, password } = new URL(url)
  if (!username && !password) return
  throw refused('url', "must not hold a user name or a password: calls of the sender's API carry the sender's own token")
}

// With the words of the SDK's own check, which its older versions don't have.
function checkHook(name, hook, takes) {
  if (typeof hook === 'function' && hook.length === 1) return hook
  throw new Error(`${name} must be a function that accepts ${takes}`)
}

async function call({ sender, ordinary, apiClient, options }, config, original) {
  const { url, method, params, data, timeout } = config
  const own = callOptions('config.spillway', config.spillway, options, ['timeoutPer'])
  const deadline = new Deadline(boundOf(own, timeout))
  const headers = headersOf(config.headers, apiClient)
  const { body, contentType } = encodeData(data, String(headers['content-type'] ?? ''))
  const { bytes, contentType: formType } = await deadline.within(undefined, (signal) => bytesOf(body, own.maxBodyBytes, signal))
  if (bytes === undefined) delete headers['content-type']
  else headers['content-type'] = formType ?? headers['content-type'] ?? contentType
  const request = {
    ...own,
    url: urlWith(url, params),
    method: method.toUpperCase(),
    headers,
    bytes,
    timeoutMs: timeout,
    isNodes: true,
  }
  // A redirect to another host is a download, whose address is its own permission.
  const elsewhere = ({ url, method, headers, deadlineMs = timeout }) =>
    ordinary.request(rewritten(original, { url, method, headers, timeout: deadlineMs }))
  const answer = await follow(sender, request, { redirectsMax: REDIRECTS_MAX, elsewhere, deadline }).catch(failed)
  return answer.elsewhere ?? judged(sdkResponse(answer))
}

/**
 * The headers by lower-case name, without the token of the ApiClient, in whose place the sender's goes. Any other `Authorization` is the
 * caller's own, and isn't replaced silently.
 */
function headersOf(headers, apiClient) {
  const kept = {}
  for (const [name, value] of Object.entries(headers ?? {})) {
    const lower = name.toLowerCase()
    if (lower !== 'authorization' || !isTokenOf(apiClient, value)) kept[lower] = value
  }
  refuseCredentials(Object.entries(kept))
  return kept
}

function isTokenOf({ authentications = {} }, value) {
  return Object.values(authentications).some(({ accessToken }) => accessToken && value === `Bearer ${accessToken}`)
}

/** The SDK's request options with other fields: its own client takes no other class. */
function rewritten(original, fields) {
  const copy = Object.assign(Object.create(Object.getPrototypeOf(original)), original, fields)
  delete copy.params
  delete copy.data
  return copy
}

module.exports = { SpillwayHttpClient, useSpillway }
