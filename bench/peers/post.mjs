// How the limiters of this folder send: one POST a message over undici, the fastest client that Node has, with as many
// connections as Spillway opens.
import { Pool } from 'undici'

const CONNECTIONS_MAX = 64

export const pathOf = ({ conversationId }) => `/api/v2/messaging/conversations/${encodeURIComponent(conversationId)}/messages`
export const bodyOf = ({ id, seq, text }) => ({ id, seq, text })

/** A function that sends a message and gives the status. */
export function poster(url) {
  const pool = new Pool(url, { connections: CONNECTIONS_MAX })
  return async (message) => {
    const { statusCode, body } = await pool.request({
      path: pathOf(message),
      method: 'POST',
      headers: { authorization: 'Bearer bench', 'content-type': 'application/json' },
      body: JSON.stringify(bodyOf(message)),
    })
    await body.dump()
    return statusCode
  }
}
