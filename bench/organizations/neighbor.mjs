// What a small organization's messages take while a large one, driven by a thread of its own, has much to do. In a process
// of its own it shares the machine with the small one, and nothing else.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'

import { message, openSender } from '../clients.mjs'
import { quantile } from '../harness.mjs'

const EVERY_MS = 5
const SPAN_MS = 5_000

const LOAD = new URL('load.mjs', import.meta.url)

const KINDS = {
  thread(workerData) {
    const worker = new Worker(LOAD, { workerData })
    return { begun: once(worker, 'message'), stop: () => worker.terminate() }
  },
  process(options) {
    const child = fork(fileURLToPath(LOAD), [JSON.stringify(options)])
    return { begun: once(child, 'message'), stop: () => child.disconnect() }
  },
}

/** Alone, without a `load`; else beside it, in a 'thread' or a 'process'. */
export async function start({ url, load, loadUrl, where }) {
  const small = await openSender(url, { connections: { max: 8 } })
  await small.send(message(0))
  const large = load && KINDS[where]({ load, url: loadUrl })
  await large?.begun
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
      await large?.stop()
      await small.close()
    },
  }
}
