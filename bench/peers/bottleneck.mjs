import Bottleneck from 'bottleneck'

import { persist } from './persist.mjs'
import { poster } from './post.mjs'

export function open({ url, told }) {
  const limiter = new Bottleneck({
    reservoir: told.requests,
    reservoirRefreshAmount: told.requests,
    reservoirRefreshInterval: told.perMs,
  })
  const post = poster(url)
  return { send: (message) => persist(() => limiter.schedule(() => post(message))) }
}
