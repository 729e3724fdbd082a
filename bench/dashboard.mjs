// What open pages of the dashboard cost a service that sends 10,000 messages a second: CPU of the process with none, one and
// sixteen pages of an organization open, in turns of one run. Readers are in a process of their own, as browsers are.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { createDashboard } from '../dashboard.mjs'
import { Sender } from '../index.mjs'
import { measure, median, publish, table } from './harness.mjs'
import { plain } from './servers.mjs'

const PER_SECOND = 10_000
const EVERY_MS = 10
const PAGES = [0, 1, 16]
const ROUNDS = 7
/** Turns in which the machine could not keep up with the load are discarded; this is the most that may be. */
const LEFT_OUT_MAX = 2
const RATE_MIN = 0.95 * PER_SECOND
const ROUND_MS = 6_000
const WARM_UP_MS = 5_000
const BAR_PERCENT = 1

const server = await plain()
const sender = await Sender.open({
  organization: 'bench',
  apiUrl: server.url,
  loginUrl: server.url,
  credentials: { clientId: 'client', clientSecret: 'secret' },
  route: 'messaging',
  store: 'memory',
  rateLimit: { requests: 1_000_000, perMs: 1_000 },
})
const dashboard = createDashboard(sender)
const http = createServer(dashboard).listen(0, '127.0.0.1')
await once(http, 'listening')
const url = `http://127.0.0.1:${http.address().port}/events?organization=bench`
const reader = fork(fileURLToPath(new URL('dashboard/reader.mjs', import.meta.url)), [url])
await once(reader, 'message')

let seq = 0
let owedSince = performance.now()
const load = setInterval(() => {
  const now = performance.now()
  const count = Math.floor(((now - owedSince) * PER_SECOND) / 1_000)
  owedSince += (count * 1_000) / PER_SECOND
  for (let sent = 0; sent < count; sent++) {
    const id = `m-${++seq}`
    const body = { id, text: 'a message of some length, as people write them' }
    // What is left at the end is nobody's business.
    sender.send({ id, conversationId: `c-${seq % 5_000}`, body }).catch(() => {})
  }
}, EVERY_MS)

async function open(pages) {
  reader.send(pages)
  await once(reader, 'message')
}

async function round(pages) {
  await open(pages)
  await sleep(500)
  const before = sender.stats().counters.delivered
  const { elapsedMs, cpuUs } = await measure(() => sleep(ROUND_MS))
  return {
    percent: cpuUs / elapsedMs / 10,
    perSecond: ((sender.stats().counters.delivered - before) * 1_000) / elapsedMs,
  }
}

await sleep(WARM_UP_MS)
const figures = Object.fromEntries(PAGES.map((pages) => [pages, []]))
let counted = 0
for (let turn = 0; turn < ROUNDS + LEFT_OUT_MAX && counted < ROUNDS; turn++) {
  const rounds = []
  for (const pages of PAGES) rounds.push(await round(pages))
  if (rounds.some(({ perSecond }) => perSecond < RATE_MIN)) continue
  counted++
  PAGES.forEach((pages, index) => figures[pages].push(rounds[index]))
}
clearInterval(load)
await open(0)
reader.disconnect()
dashboard.close()
http.close()
await sender.close()
await server.stop()
if (counted === 0) throw new Error(`this machine never sent ${PER_SECOND} messages a second: nothing is published`)

const most = PAGES.at(-1)
// Round by round: what else the machine does meets all of them.
const added = (pages) => figures[pages].map(({ percent }, turn) => (percent - figures[0][turn].percent) / pages)
const [first, perPage] = [added(1), added(most)]
const rows = PAGES.map((pages) => ({
  what: `${pages === 0 ? 'no page' : pages === 1 ? 'one page' : `${pages} pages`} open`,
  perSecond: median(figures[pages].map(({ perSecond }) => perSecond)),
  percent: median(figures[pages].map(({ percent }) => percent)),
}))
const section = {
  heading: `Medians of ${counted} rounds`,
  body: `${table(rows, [
    ['', 'what'],
    ['messages per second', 'perSecond'],
    ['% of a core', 'percent', 1],
  ])}\n\nA single page costs ${median(first).toFixed(2)} % of a core, each of ${most} pages ${median(perPage).toFixed(2)} % (medians of the differences, round by round; the bar is ${BAR_PERCENT} %, and what is below 0 is noise).`,
}
publish('dashboard', { title: 'Open pages of the dashboard', sections: [section], figures: { figures, first, perPage } })
if (median(perPage) > BAR_PERCENT) process.exitCode = 1
