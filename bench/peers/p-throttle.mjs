import pThrottle from 'p-throttle'

import { persist } from './persist.mjs'
import { poster } from './post.mjs'

export function open({ url, told }) {
  const throttle = pThrottle({ limit: told.requests, interval: told.perMs, strict: true })
  const post = throttle(poster(url))
  return { send: (message) => persist(() => post(message)) }
}
