// p-retry with its defaults (ten retries, the first after a second, each wait twice as long) around p-queue as the limiter.
import PQueue from 'p-queue-9'
import pRetry from 'p-retry'

import { poster } from './post.mjs'

export function open({ url, told }) {
  const queue = new PQueue({ intervalCap: told.requests, interval: told.perMs, strict: true })
  const post = poster(url)
  const attempt = async (message) => {
    const status = await queue.add(() => post(message))
    if (status >= 300) throw new Error(`status ${status}`)
  }
  return { send: (message) => pRetry(() => attempt(message)) }
}
