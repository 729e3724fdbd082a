import { Agent, request, RetryAgent } from 'undici'

export const name = 'undici RetryAgent'

export async function post(url) {
  // POST isn't among the methods that it retries by default.
  const dispatcher = new RetryAgent(new Agent(), { methods: ['POST'] })
  const { statusCode } = await request(url, { method: 'POST', body: '{"text":"hi"}', dispatcher })
  if (statusCode >= 300) throw new Error(`given up at status ${statusCode}`)
}
