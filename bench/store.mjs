// The file store against plain files and BullMQ on Redis: npm run bench:store [-- --waiting 5000000]
//
// Every directory lies beside the working one, since the system's temporary directory may be in memory.
import { spawn } from 'node:child_process'
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'

import { Sender } from '../index.mjs'
import { machine, measure, median, publish, startServer, table } from './harness.mjs'
import { startDurableRedis } from './redis.mjs'

const ROUNDS = 5
const AT_ONCE = 100_000
const ONE_BY_ONE = 1_000
const DELIVERED = 30_000
const CONVERSATIONS = 5_000
const BODY = { text: 'x'.repeat(300 - '{"text":""}'.length) }
const NOWHERE = 'http://127.0.0.1:9'

const folder = mkdtempSync(join(process.cwd(), '.bench-store-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
let files = 0
const newFile = () => join(folder, `${++files}.db`)
const argument = (name, otherwise) => {
  const index = process.argv.indexOf(`--${name}`)
  return index < 0 ? otherwise : Number(process.argv[index + 1])
}

function options(store, url = NOWHERE) {
  return {
    organization: `bench-${++files}`,
    apiUrl: url,
    loginUrl: url,
    credentials: { clientId: 'bench', clientSecret: 'bench' },
    route: 'messaging',
    store,
    rateLimit: { requests: 1_000_000, perMs: 1_000 },
    queue: { maxMessages: 10_000_000, maxBytes: 2 ** 34 },
  }
}

const message = (n) => ({ id: `message-${n}`, conversationId: `conversation-${n % CONVERSATIONS}`, body: BODY })

/** Enqueues `count` messages, `AT_ONCE` of them at a time, from the number `first` on. */
async function enqueue(sender, count, first = 0) {
  for (let done = 0; done < count; done += AT_ONCE) {
    const part = Math.min(AT_ONCE, count - done)
    await Promise.all(Array.from({ length: part }, (_, n) => sender.enqueue(message(first + done + n))))
  }
}

/** Messages per second while nothing can be sent. */
async function enqueueRate(store) {
  const sender = await Sender.open(options(store))
  const { elapsedMs } = await measure(() => enqueue(sender, AT_ONCE))
  await sender.close({ timeoutMs: 0 })
  return (AT_ONCE / elapsedMs) * 1_000
}

async function bullRate(redis) {
  const queue = redis.queue(`bulk-${++files}`)
  const jobs = Array.from({ length: AT_ONCE }, (_, n) => ({ name: 'message', data: message(n) }))
  const { elapsedMs } = await measure(async () => {
    for (let done = 0; done < AT_ONCE; done += 1_000) await queue.addBulk(jobs.slice(done, done + 1_000))
  })
  await queue.close()
  return (AT_ONCE / elapsedMs) * 1_000
}

/** Microseconds for each of `ONE_BY_ONE` messages that wait for one another. */
async function singleUs() {
  const sender = await Sender.open(options(`file:${newFile()}`))
  const { elapsedMs } = await measure(async () => {
    for (let n = 0; n < ONE_BY_ONE; n++) await sender.enqueue(message(n))
  })
  await sender.close({ timeoutMs: 0 })
  return (elapsedMs / ONE_BY_ONE) * 1_000
}

async function appendUs() {
  const file = openSync(newFile(), 'a', 0o600)
  const { elapsedMs } = await measure(() => {
    for (let n = 0; n < ONE_BY_ONE; n++) {
      writeSync(file, JSON.stringify(message(n)))
      fdatasyncSync(file)
    }
  })
  closeSync(file)
  return (elapsedMs / ONE_BY_ONE) * 1_000
}

/** Messages per second from `send` to receipt, over 64 connections. */
async function deliveredRate(store, url) {
  const sender = await Sender.open(options(store, url))
  const { elapsedMs } = await measure(() => Promise.all(Array.from({ length: DELIVERED }, (_, n) => sender.send(message(n)))))
  await sender.close()
  return (DELIVERED / elapsedMs) * 1_000
}

async function rounds(measures) {
  const figures = Object.fromEntries(Object.keys(measures).map((name) => [name, []]))
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, take] of Object.entries(measures)) figures[name].push(await take())
  }
  return Object.fromEntries(Object.entries(figures).map(([name, values]) => [name, median(values)]))
}

/** A process of its own opens the file: the time to its first request at the server, and its memory. */
async function restart(file, url, organization) {
  const script = new URL('store-restart.mjs', import.meta.url)
  const child = spawn(process.execPath, [script.pathname, JSON.stringify({ ...options(`file:${file}`, url), organization })], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  for await (const chunk of child.stdout) text += chunk
  return JSON.parse(text)
}

/** Fills a file with `count` messages, and lets a new process open it. */
async function backlog(count, url) {
  const file = newFile()
  const settings = options(`file:${file}`)
  const sender = await Sender.open(settings)
  const filled = await measure(() => enqueue(sender, count))
  await sender.close({ timeoutMs: 0 })
  const bytes = statSync(file).size
  const begun = await restart(file, url, settings.organization)
  rmSync(file)
  return { count, fillUs: (filled.elapsedMs * 1_000) / count, fileBytes: bytes / count, ...begun }
}

const redis = await startDurableRedis()
const server = await startServer({})
const enqueued = await rounds({
  file: () => enqueueRate(`file:${newFile()}`),
  bullmq: () => bullRate(redis),
  memory: () => enqueueRate('memory'),
})
const singles = await rounds({ file: singleUs, append: appendUs })
const delivered = await rounds({
  file: () => deliveredRate(`file:${newFile()}`, server.url),
  memory: () => deliveredRate('memory', server.url),
})
// The small one lasts a sixth of a second: one measure of it says little.
const small = []
for (let round = 0; round < ROUNDS; round++) small.push(await backlog(50_000, server.url))
const backlogs = [small.sort((one, other) => one.fillUs - other.fillUs)[ROUNDS >> 1]]
for (const count of [1_000_000, argument('waiting', 0)].filter(Boolean)) backlogs.push(await backlog(count, server.url))
await server.stop()
await redis.stop()

const row = (what, bar, value) => ({ what, bar, value })
const per = (value, digits = 0) => value.toLocaleString('en-US', { maximumFractionDigits: digits })
const million = backlogs.find(({ count }) => count === 1_000_000)
const rows = [
  row('`enqueue`, 100,000 at once, 300-byte bodies, power-loss', '≥ 100,000/s', `${per(enqueued.file)}/s`),
  row(
    '… ÷ BullMQ `addBulk` of 1,000 on Redis, `appendfsync always`',
    '≥ 3',
    `${per(enqueued.file / enqueued.bullmq, 1)} (${per(enqueued.bullmq)}/s)`,
  ),
  row(
    '`enqueue`, one awaited after the other ÷ append + fdatasync',
    '≤ 2',
    `${per(singles.file / singles.append, 2)} (${per(singles.file)} and ${per(singles.append)} µs)`,
  ),
  row(
    'delivered end to end, file ÷ memory store',
    '≥ 0.7',
    `${per(delivered.file / delivered.memory, 2)} (${per(delivered.file)} and ${per(delivered.memory)}/s)`,
  ),
  row('restart with 1,000,000 waiting: first message on the wire', '≤ 3 s', `${per(million.firstMs / 1_000, 2)} s`),
  row('… resident memory', `≤ ${64 + 100} MB`, `${per(million.rssBytes / 1e6)} MB (a bare Node: ${per(million.bareBytes / 1e6)} MB)`),
  ...backlogs.map(({ count, fillUs, fileBytes }) =>
    row(
      `each of ${per(count)} waiting`,
      count > 1_000_000 ? '≤ 1.3 × 50,000' : '',
      `${per(fillUs, 1)} µs, ${per(fileBytes)} bytes of file`,
    ),
  ),
]
publish('store', {
  title: 'The file store',
  sections: [
    {
      heading: `Medians of ${ROUNDS}`,
      body: table(rows, [
        ['what', 'what'],
        ['bar', 'bar'],
        ['measured', 'value'],
      ]),
    },
  ],
  figures: { machine: machine(), enqueued, singles, delivered, backlogs },
})
