// Runs `deliver` of a snippet with these messages, in a process of its own: node run-snippet.mjs SNIPPET MESSAGES_AS_JSON
import { pathToFileURL } from 'node:url'

const [, , snippet, messages] = process.argv
const here = pathToFileURL(snippet)

// A document's reader calls the cloud; here the SDK's one client calls the simulator.
if (process.env.SDK === 'yes') {
  const { default: platformClient } = await import('purecloud-platform-client-v2')
  const { hostname, port } = new URL(process.env.API_URL)
  platformClient.ApiClient.instance.setGateway({ host: hostname, protocol: 'http', port })
}

const { deliver } = await import(here)
await deliver(JSON.parse(messages))

if (process.env.AFTER === 'yes') {
  const { sender } = await import(new URL('sender.mjs', here))
  await sender.drain({ timeoutMs: 30_000 })
  console.log(JSON.stringify(sender.stats().counters))
  await sender.close()
}
