// What a small organization's messages take while a large one, driven by a thread of its own, has much to do.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'

import { message, openSender } from '../clients.mjs'
import { quantile } from '../harness.mjs'

const EVERY_MS = 5
const SPAN_MS = 5_000

export async function start({ url, load, loadUrl }) {
  const small = await openSender(url, { connections: { max: 8 } })
  await small.send(message(0))
  const worker = load && new Worker(new URL('load.mjs', import.meta.url), { workerData: { load, url: loadUrl } })
  if (worker) await once(worker, 'message')
  return {
    async round() {
      const took = []
      const sent = []
      const until = performance.now() + SPAN_MS
      for (let index = 0; performance.now() < until; index++) {
        const at = performance.now()
        sent.push(small.send(message(index)).then(() => took.push(performance.now() - at)))
        await sleep(EVERY_MS)
      }
      await Promise.all(sent)
      return { p50: quantile(took, 0.5), p99: quantile(took, 0.99), messages: took.length }
    },
    async stop() {
      await worker?.terminate()
      await small.close()
    },
  }
}
