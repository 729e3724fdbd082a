// A server that answers every request with the same 429, and remembers when each came.
import { createServer } from 'node:http'
import { once } from 'node:events'

const BODY = JSON.stringify({ message: 'Rate limit exceeded the maximum.', code: 'too.many.requests', status: 429 })

/** `retryAfter()` gives the header's value at each answer: `{ url, arrivals, close() }`, arrivals in milliseconds. */
export async function startRefuser(retryAfter) {
  const arrivals = []
  const server = createServer((request, response) => {
    arrivals.push(performance.now())
    request.resume()
    request.on('end', () => {
      response.writeHead(429, { 'content-type': 'application/json', 'retry-after': retryAfter() })
      response.end(BODY)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    arrivals,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
