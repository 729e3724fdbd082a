import { open } from '../peers/effect.mjs'

export const name = 'effect withRateLimiter'

export async function post(url) {
  const client = await open({ url, told: { requests: 1_000, perMs: 1_000 } })
  await client.send({ id: 'm-1', conversationId: 'c-1', seq: 0, text: 'hi' })
}
