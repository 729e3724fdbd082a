import { RateLimiter } from 'limiter'

import { persist } from './persist.mjs'
import { poster } from './post.mjs'

export function open({ url, told }) {
  const limiter = new RateLimiter({ tokensPerInterval: told.requests, interval: told.perMs })
  const post = poster(url)
  const attempt = async (message) => {
    await limiter.removeTokens(1)
    return post(message)
  }
  return { send: (message) => persist(() => attempt(message)) }
}
