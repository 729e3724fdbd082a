// What open senders cost, each of an organization of its own: a round opens them, lets them rest, sends and closes them.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { message, openSender } from '../clients.mjs'
import { median, threadsCpuUs } from '../harness.mjs'

const IDLE_MS = 3_000
const ROUNDS = 3
const MESSAGES = 6_000
const AT_ONCE = 64

const descriptors = () => readdirSync('/proc/self/fd').length
const threads = () => readdirSync('/proc/self/task')
const residentBytes = () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1_024

/** How often threads other than the main one gave up a CPU because they had nothing to do. */
function wakes() {
  const switches = threads().map((thread) => {
    if (Number(thread) === process.pid) return 0
    return Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync(`/proc/self/task/${thread}/status`, 'utf8'))[1])
  })
  return switches.reduce((sum, count) => sum + count, 0)
}

function cpuUs() {
  const { main, spillway } = threadsCpuUs()
  return main + spillway
}

/** With a folder, all share a file in it. */
export async function start({ url, count, folder }) {
  const options = (index) => ({
    organization: `organization ${index}`,
    ...(folder === undefined ? {} : { store: `file:${join(folder, 'outbox.db')}` }),
  })
  // The engine thread, the roots and the code are there once.
  await (await openSender(url)).close()
  const warm = await openSender(url)
  await warm.send(message(0))

  return {
    async round() {
      global.gc()
      const before = { bytes: residentBytes(), threads: threads().length, descriptors: descriptors() }
      const senders = []
      const openedAt = performance.now()
      for (let index = 0; index < count; index++) senders.push(await openSender(url, options(index)))
      const openMs = performance.now() - openedAt
      await sleep(200)
      global.gc()
      const after = { bytes: residentBytes(), threads: threads().length, descriptors: descriptors() }
      const wakesBefore = wakes()
      await sleep(IDLE_MS)
      const idleWakes = ((wakes() - wakesBefore) * 1_000) / IDLE_MS
      const onOne = await load([senders[0]])
      const spread = await load(senders)
      const closedAt = performance.now()
      await Promise.all(senders.map((sender) => sender.close()))
      const closeMs = performance.now() - closedAt
      const each = (name) => (after[name] - before[name]) / count
      return {
        openMs: openMs / count,
        closeMs: closeMs / count,
        bytes: each('bytes'),
        threads: each('threads'),
        descriptors: each('descriptors'),
        idleWakes,
        onOne,
        spread,
      }
    },
    stop: () => warm.close(),
  }
}

/** CPU of the JavaScript thread and the engine's per message, over connections that are there already; and the rate. */
async function load(senders) {
  const of = (index) => senders[index % senders.length]
  await deliver(of, Math.max(senders.length, AT_ONCE))
  const costs = []
  const rates = []
  for (let round = 0; round < ROUNDS; round++) {
    const before = cpuUs()
    const startedAt = performance.now()
    await deliver(of, MESSAGES)
    costs.push((cpuUs() - before) / MESSAGES)
    rates.push((MESSAGES * 1_000) / (performance.now() - startedAt))
  }
  return { us: median(costs), perSecond: median(rates) }
}

async function deliver(of, count) {
  let next = 0
  const caller = async () => {
    while (next < count) {
      const index = next++
      await of(index).send(message(index))
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, caller))
}
