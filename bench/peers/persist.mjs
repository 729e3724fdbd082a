// A limiter alone loses every message that is refused: this is the retry that goes around it, the one of lib/cli/handrolled.js.
import { setTimeout as sleep } from 'node:timers/promises'

import handRolled from '../../lib/cli/handrolled.js'

const BACKOFF_BASE_MS = 200
const BACKOFF_MAX_MS = 30_000
const RETRIED = new Set([408, 429, 500, 502, 503, 504])

/** Calls `attempt`, which gives a status, until it is 2xx; exponential backoff with full jitter between the tries. */
export async function persist(attempt) {
  for (let tried = 1; ; tried++) {
    const status = await attempt()
    if (status >= 200 && status < 300) return
    if (tried === handRolled.TRIES_MAX || !RETRIED.has(status)) throw new Error(`given up at status ${status}`)
    await sleep(Math.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** (tried - 1)))
  }
}
