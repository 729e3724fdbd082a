// axios, backoff and jitter: what services have. It knows no number.
import axios from 'axios'

import { persist } from './persist.mjs'
import { bodyOf, pathOf } from './post.mjs'

export function open({ url }) {
  const http = axios.create({ baseURL: url, headers: { authorization: 'Bearer bench' }, validateStatus: () => true })
  const post = async (message) => (await http.post(pathOf(message), bodyOf(message))).status
  return { send: (message) => persist(() => post(message)) }
}
