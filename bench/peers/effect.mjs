// effect's own client with its rate limiter: it reads the X-RateLimit headers, and retries 429s itself, without an end.
import { Effect, Layer } from 'effect'
import { FetchHttpClient, HttpClient, HttpClientRequest } from 'effect/http'
import * as RateLimiter from 'effect/persistence/RateLimiter'

import { bodyOf, pathOf } from './post.mjs'

const services = Layer.merge(FetchHttpClient.layer, RateLimiter.layer.pipe(Layer.provide(RateLimiter.layerStoreMemory)))

const limitedClient = (told) =>
  Effect.gen(function* () {
    const client = yield* HttpClient.HttpClient
    const limiter = yield* RateLimiter.RateLimiter
    return HttpClient.withRateLimiter(client, { limiter, key: 'organization', limit: told.requests, window: told.perMs })
  })

export async function open({ url, told }) {
  const client = await Effect.runPromise(Effect.provide(limitedClient(told), services))
  return {
    send: (message) => {
      const request = HttpClientRequest.post(`${url}${pathOf(message)}`, { headers: { authorization: 'Bearer bench' } }).pipe(
        HttpClientRequest.bodyJsonUnsafe(bodyOf(message)),
      )
      const read = (response) => Effect.as(response.text, response.status)
      return Effect.runPromise(client.execute(request).pipe(Effect.flatMap(read))).then((status) => {
        if (status >= 300) throw new Error(`given up at status ${status}`)
      })
    },
  }
}
