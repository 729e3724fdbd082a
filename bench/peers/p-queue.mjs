import PQueue from 'p-queue-9'

import { persist } from './persist.mjs'
import { poster } from './post.mjs'

export function open({ url, told }) {
  const queue = new PQueue({ intervalCap: told.requests, interval: told.perMs, strict: true })
  const post = poster(url)
  return { send: (message) => persist(() => queue.add(() => post(message))) }
}
