// A sender whose messages stay queued until `release()`: it waits for its access token.
import { openSender } from './clients.mjs'

export async function holdSender(url, options = {}) {
  let release
  const token = new Promise((resolve) => {
    release = () => resolve('bench')
  })
  const sender = await openSender(url, {
    credentials: { accessToken: () => token },
    queue: { maxMessages: 2_000_000, maxBytes: 4 * 2 ** 30 },
    ...options,
  })
  return { sender, release }
}

/** Enqueues `message(0)` to `message(count - 1)`, so many a tick. */
export async function enqueueAll(sender, count, message, perTick = 1_000) {
  for (let first = 0; first < count; first += perTick) {
    const tick = []
    for (let index = first; index < Math.min(count, first + perTick); index++) tick.push(sender.enqueue(message(index)))
    await Promise.all(tick)
  }
}
