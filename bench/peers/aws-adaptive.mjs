// The adaptive retry mode of the AWS SDKs, used as their middleware does. It can't be told a number.
import { AdaptiveRetryStrategy } from '@smithy/util-retry'
import handRolled from '../../lib/cli/handrolled.js'

import { poster } from './post.mjs'

const throttled = (status) => Object.assign(new Error(`status ${status}`), { $metadata: { httpStatusCode: status } })

export function open({ url }) {
  const strategy = new AdaptiveRetryStrategy(async () => handRolled.TRIES_MAX)
  const post = poster(url)
  const send = async (message) => {
    let token = await strategy.acquireInitialRetryToken('bench')
    for (;;) {
      const status = await post(message)
      if (status < 300) return strategy.recordSuccess(token)
      const errorType = status === 429 ? 'THROTTLING' : 'SERVER_ERROR'
      token = await strategy.refreshRetryTokenForRetry(token, { error: throttled(status), errorType, retryAfterHint: new Date() })
    }
  }
  return { send }
}
