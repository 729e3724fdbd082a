'use strict'

const { setTimeout: sleep } = require('node:timers/promises')

const TRIES_MAX = 8
const BACKOFF_BASE_MS = 200
const BACKOFF_MAX_MS = 30_000
const RETRIED = new Set([408, 429, 500, 502, 503, 504])

/**
 * What services write when they have no Spillway, for comparison: a POST a message when it arrives, and exponential
 * backoff with full jitter. It knows no quota, no order, and reads no header. An abort ends the waiting, not the requests
 * on the wire: fetch takes one signal for thousands of requests for a leak, and warns of each.
 */
class HandRolled {
  tries = 0
  inFlight = 0
  #url
  #credentials
  #token = null
  #signal

  constructor(url, credentials, signal) {
    this.#url = url
    this.#credentials = credentials
    this.#signal = signal
  }

  /** Whether the message was delivered. */
  async send(conversationId, body) {
    const url = `${this.#url}/api/v2/messaging/conversations/${encodeURIComponent(conversationId)}/messages`
    const request = { method: 'POST', body: JSON.stringify(body) }
    for (let tried = 0; tried < TRIES_MAX && !this.#signal.aborted; tried++) {
      if (tried > 0) await this.#backOff(tried)
      const status = await this.#post(url, request)
      if (status >= 200 && status < 300) return true
      if (status !== 0 && !RETRIED.has(status)) return false
    }
    return false
  }

  /** The status; 0 for none. */
  async #post(url, request) {
    this.inFlight++
    try {
      const authorization = `Bearer ${await this.#accessToken()}`
      this.tries++
      const response = await fetch(url, { ...request, headers: { authorization, 'content-type': 'application/json' } })
      await response.arrayBuffer()
      return response.status
    } catch {
      return 0
    } finally {
      this.inFlight--
    }
  }

  async #backOff(tried) {
    const waitMs = Math.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** (tried - 1))
    await sleep(waitMs, undefined, { signal: this.#signal }).catch(() => {})
  }

  #accessToken() {
    this.#token ??= this.#mint().catch((error) => {
      this.#token = null
      throw error
    })
    return this.#token
  }

  async #mint() {
    const { clientId, clientSecret } = this.#credentials
    const response = await fetch(`${this.#url}/oauth/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}` },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    })
    return (await response.json()).access_token
  }
}

module.exports = { HandRolled, TRIES_MAX }
