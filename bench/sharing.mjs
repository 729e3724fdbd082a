// Many organizations with a file store in one process, in one file and in a file each, beside one, and beside as many in memory:
// npm run bench:sharing [-- --organizations 300]
//
// The directory lies beside the working one, since the system's temporary directory may be in memory. Each case is a process of
// its own; ratios are within one run.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { Sender } from '../index.mjs'
import { measure, median, startServer, table } from './harness.mjs'

const ROUNDS = 3
const MESSAGES = 30_000
const BODY = { text: 'x'.repeat(300 - '{"text":""}'.length) }
const IDLE_MS = 10_000
/** After this long without work the file is in order. */
const SETTLED_MS = 35_000

const argument = (name, otherwise) => {
  const index = process.argv.indexOf(`--${name}`)
  return index < 0 ? otherwise : Number(process.argv[index + 1])
}

/** The threads of the stores, and how often each was woken. */
function storeThreads() {
  const tasks = readdirSync('/proc/self/task').map((task) => `/proc/self/task/${task}`)
  const own = tasks.filter((task) => readFileSync(`${task}/comm`, 'utf8').startsWith('spillway-store'))
  const wakes = (task) => Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync(`${task}/status`, 'utf8'))[1])
  return { threads: own.length, wakes: own.reduce((sum, task) => sum + wakes(task), 0) }
}

function descriptors(folder) {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return ''
    }
  })
  return targets.filter((target) => target.startsWith(folder)).length
}

const bytes = (folder) => readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).blocks * 512, 0)
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** One case: opens, sends over all, closes; told as JSON. */
async function act({ url, organizations, store, idle }) {
  const folder = mkdtempSync(join(process.cwd(), '.bench-sharing-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const options = (index) => ({
    organization: `organization-${index}`,
    apiUrl: url,
    loginUrl: url,
    credentials: { clientId: 'bench', clientSecret: 'bench' },
    route: 'messaging',
    store: store === 'memory' ? store : `file:${join(folder, store === 'shared' ? 'outbox.db' : `${index}.db`)}`,
    rateLimit: { requests: 1_000_000, perMs: 1_000 },
  })
  const opened = await measure(() => Promise.all(Array.from({ length: organizations }, (_, index) => Sender.open(options(index)))))
  const senders = opened.value
  const figures = { openMs: opened.elapsedMs, threads: storeThreads().threads, descriptors: descriptors(folder), bytes: bytes(folder) }
  if (idle) {
    await wait(SETTLED_MS)
    const before = storeThreads().wakes
    await wait(IDLE_MS)
    figures.wakesPerSecond = (storeThreads().wakes - before) / (IDLE_MS / 1_000)
  } else {
    const message = (n) => ({ conversationId: `conversation-${n % 5_000}`, body: BODY })
    const send = (n) => senders[n % organizations].send(message(n))
    // The first ones wait for a token and a connection each.
    await Promise.all(Array.from({ length: 10 * organizations }, (_, n) => send(n)))
    const sent = await measure(() => Promise.all(Array.from({ length: MESSAGES }, (_, n) => send(n))))
    figures.perSecond = (MESSAGES / sent.elapsedMs) * 1_000
  }
  const closed = await measure(() => Promise.all(senders.map((sender) => sender.close({ timeoutMs: 0 }))))
  return { ...figures, closeMs: closed.elapsedMs }
}

if (process.send) {
  process.send(await act(JSON.parse(process.argv[2])))
  process.exit(0)
}

async function one(input) {
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(input)])
  const [figures] = await once(child, 'message')
  return figures
}

const many = argument('organizations', 300)
const server = await startServer({ latencyMs: { min: 5, max: 5 } })
const cases = {
  'one, memory': [1, 'memory'],
  'one, file': [1, 'shared'],
  'many, memory': [many, 'memory'],
  'many, one file': [many, 'shared'],
  'many, a file each': [many, 'each'],
}
const rates = Object.fromEntries(Object.keys(cases).map((name) => [name, []]))
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, [organizations, store]] of Object.entries(cases)) {
    rates[name].push(await one({ url: server.url, organizations, store }))
  }
}
const rate = (name) => median(rates[name].map(({ perSecond }) => perSecond))
const rows = Object.keys(cases).map((name) => ({
  ...rates[name][0],
  what: `${cases[name][0]}: ${name}`,
  rate: rate(name),
  ratio: rate(name) / rate('one, file'),
  wakes: '',
}))
const idle = await one({ url: server.url, organizations: 1_000, store: 'shared', idle: true })
rows.push({ ...idle, what: '1000: many, one file, idle', rate: '', ratio: '', wakes: idle.wakesPerSecond })
await server.stop()
const columns = [
  ['organizations', 'what'],
  ['open, ms', 'openMs'],
  ['close, ms', 'closeMs'],
  ['threads', 'threads'],
  ['descriptors', 'descriptors'],
  ['bytes', 'bytes'],
  ['messages/s', 'rate'],
  ['÷ one, file', 'ratio', 2],
  ['wakes/s', 'wakes', 1],
]
console.log(table(rows, columns))
