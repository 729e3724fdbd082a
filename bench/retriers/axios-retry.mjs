import axios from 'axios'
import axiosRetry, { exponentialDelay, isRetryableError } from 'axios-retry'

export const name = 'axios-retry'

export async function post(url) {
  const http = axios.create()
  // Neither POST nor a growing delay is its default.
  axiosRetry(http, { retries: 8, retryCondition: isRetryableError, retryDelay: exponentialDelay })
  await http.post(url, { text: 'hi' })
}
