// undici's RetryAgent with its defaults: five retries, the first after half a second. POST isn't among what it retries.
import { Agent, RetryAgent, request } from 'undici'

import { bodyOf, pathOf } from './post.mjs'

export function open({ url }) {
  const dispatcher = new RetryAgent(new Agent(), { methods: ['POST'] })
  return {
    async send(message) {
      const { statusCode, body } = await request(`${url}${pathOf(message)}`, {
        method: 'POST',
        headers: { authorization: 'Bearer bench', 'content-type': 'application/json' },
        body: JSON.stringify(bodyOf(message)),
        dispatcher,
      })
      await body.dump()
      if (statusCode >= 300) throw new Error(`given up at status ${statusCode}`)
    },
  }
}
