// The clients that are compared: each sends one message in one request and gives the parsed answer, over at most 64
// connections. None does more than its own documentation shows for that.
import http from 'node:http'
import https from 'node:https'
import { readFileSync } from 'node:fs'
import { threadId } from 'node:worker_threads'

import axios from 'axios'
import { Pool } from 'undici'

import { Sender } from '../index.mjs'

export const CONNECTIONS = 64
export const NO_LIMIT = { requests: 1_000_000, perMs: 1_000 }
const CONVERSATIONS = 1_000

/** Bodies of 200 bytes of JSON, in 1,000 conversations. */
export function message(index) {
  return { conversationId: NAMES[index % CONVERSATIONS], body: { type: 'Text', text: TEXT } }
}
const TEXT = 'x'.repeat(200 - JSON.stringify({ type: 'Text', text: '' }).length)
const NAMES = Array.from({ length: CONVERSATIONS }, (_, number) => `02c4365b-e5bc-47e6-85ad-${String(number).padStart(12, '0')}`)

const path = ({ conversationId }) => `/api/v2/messaging/conversations/${conversationId}/messages`
const HEADERS = { authorization: 'Bearer bench', 'content-type': 'application/json' }

let organizations = 0

export function openSender(url, options = {}) {
  return Sender.open({
    organization: `bench-${process.pid}-${threadId}-${++organizations}`,
    apiUrl: url,
    loginUrl: url,
    store: 'memory',
    route: 'messaging',
    credentials: { accessToken: 'bench' },
    rateLimit: NO_LIMIT,
    connections: { max: CONNECTIONS },
    ...options,
  })
}

const OPEN = {
  async spillway({ url }) {
    const sender = await openSender(url)
    return { send: (message) => sender.send(message), close: () => sender.close() }
  },

  undici({ url, ca }) {
    const pool = new Pool(url, { connections: CONNECTIONS, connect: ca && { ca: readFileSync(ca) } })
    return {
      async send(message) {
        const { body } = await pool.request({
          method: 'POST',
          path: path(message),
          headers: HEADERS,
          body: JSON.stringify(message.body),
        })
        return body.json()
      },
      close: () => pool.close(),
    }
  },

  // Node's own, with its own connections: it takes no limit without a dispatcher of another undici.
  fetch({ url }) {
    return {
      async send(message) {
        const answer = await fetch(`${url}${path(message)}`, {
          method: 'POST',
          headers: HEADERS,
          body: JSON.stringify(message.body),
        })
        return answer.json()
      },
    }
  },

  axios({ url, ca }) {
    const agent = { keepAlive: true, maxSockets: CONNECTIONS, ca: ca && readFileSync(ca) }
    const [httpAgent, httpsAgent] = [new http.Agent(agent), new https.Agent(agent)]
    const client = axios.create({ baseURL: url, httpAgent, httpsAgent })
    return {
      send: async (message) => (await client.post(path(message), message.body, { headers: HEADERS })).data,
      close: () => [httpAgent, httpsAgent].forEach((own) => own.destroy()),
    }
  },
}

/** `{ send(message), close() }`. */
export const open = (name, target) => OPEN[name](target)
