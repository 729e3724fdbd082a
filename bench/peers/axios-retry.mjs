// axios-retry as its README shows it: three retries, a delay that grows. POST isn't among what it retries by default.
import axios from 'axios'
import axiosRetry, { exponentialDelay, isRetryableError } from 'axios-retry'

import { bodyOf, pathOf } from './post.mjs'

export function open({ url }) {
  const http = axios.create({ baseURL: url, headers: { authorization: 'Bearer bench' } })
  axiosRetry(http, { retries: 3, retryCondition: isRetryableError, retryDelay: exponentialDelay })
  return { send: (message) => http.post(pathOf(message), bodyOf(message)) }
}
