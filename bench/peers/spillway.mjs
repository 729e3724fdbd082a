import { Sender } from '../../index.mjs'

import { bodyOf } from './post.mjs'

/** What every Spillway of these benchmarks has in common. */
export const optionsFor = (url) => ({
  organization: 'bench',
  apiUrl: url,
  loginUrl: url,
  credentials: { accessToken: 'bench' },
  route: 'messaging',
  store: 'memory',
})

export async function openWith(url, rateLimit) {
  const sender = await Sender.open({ ...optionsFor(url), rateLimit })
  return { send: (message) => sender.send({ id: message.id, conversationId: message.conversationId, body: bodyOf(message) }) }
}

export const open = ({ url, told }) => openWith(url, told)
