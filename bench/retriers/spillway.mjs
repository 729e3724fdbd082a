import { Sender } from '../../index.mjs'
import { optionsFor } from '../peers/spillway.mjs'

let organizations = 0

export const name = 'Spillway'

export async function post(url) {
  const options = { ...optionsFor(url), organization: `retry-after-${++organizations}`, rateLimit: { requests: 1_000, perMs: 1_000 } }
  const sender = await Sender.open(options)
  return sender.send({ conversationId: 'c-1', body: { text: 'hi' } })
}
