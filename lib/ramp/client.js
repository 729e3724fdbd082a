'use strict'

const http = require('node:http')
const https = require('node:https')

const { AuthError } = require('../errors.js')

const BODY_BYTES_MAX = 64 * 1024
const ANSWER_TIMEOUT_MS = 60_000
const SOCKETS_MAX = 512

/** Sends requests as they come: no queue, no retry, no limit, for it is the limit of the server that is looked for. */
class Client {
  #base
  #login
  #credentials
  #headers
  #agent
  #token = null
  #open = new Set()

  constructor({ apiUrl, loginUrl, credentials, headers = {} }) {
    this.#base = apiUrl
    this.#login = loginUrl
    this.#credentials = credentials
    this.#headers = headers
    this.#agent = new (moduleOf(apiUrl).Agent)({ keepAlive: true, maxSockets: SOCKETS_MAX, scheduling: 'fifo' })
  }

  /** What must not be shown. */
  get secrets() {
    return [this.#token, this.#credentials.clientSecret, this.#credentials.accessToken]
  }

  /** Gets a token, if the credentials need one. */
  async authorize() {
    const { accessToken, clientId, clientSecret } = this.#credentials
    if (accessToken !== undefined) {
      this.#token = accessToken
      return
    }
    const answer = await this.#exchange(`${this.#login}/oauth/token`, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: 'grant_type=client_credentials',
    })
    this.#token = answer.status === 200 ? tokenIn(answer.text) : null
    if (this.#token === null) throw new AuthError(`no access token: the login host answered ${answer.status || 'nothing'}`)
  }

  /** An answer `{ status, headers, text }`; status 0 without one. It never rejects. */
  send({ method, path, body }) {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const headers = {
      ...this.#headers,
      authorization: `Bearer ${this.#token}`,
      ...(text !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
    }
    return this.#exchange(this.#base + path, { method, headers, body: text, agent: this.#agent })
  }

  /** Ends what is on its way, too. */
  close() {
    for (const request of this.#open) request.destroy()
    this.#agent.destroy()
  }

  #exchange(url, { method, headers, body, agent }) {
    return new Promise((resolve) => {
      const nothing = () => resolve({ status: 0, headers: {}, text: '' })
      const request = moduleOf(url).request(url, { method, headers, agent, timeout: ANSWER_TIMEOUT_MS }, (response) => {
        const chunks = []
        let bytes = 0
        response.on('data', (chunk) => {
          bytes += chunk.length
          if (bytes <= BODY_BYTES_MAX) chunks.push(chunk)
        })
        response.on('end', () =>
          resolve({ status: response.statusCode, headers: response.headers, text: Buffer.concat(chunks).toString() }),
        )
        response.on('error', nothing)
        response.on('aborted', nothing)
      })
      this.#open.add(request)
      request.on('close', () => this.#open.delete(request))
      request.on('timeout', () => request.destroy())
      request.on('error', nothing)
      request.end(body)
    })
  }
}

function tokenIn(text) {
  try {
    const { access_token: token } = JSON.parse(text)
    return typeof token === 'string' ? token : null
  } catch {
    return null
  }
}

function moduleOf(url) {
  return url.startsWith('https:') ? https : http
}

module.exports = { Client }
