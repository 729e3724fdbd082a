// Many organizations in one process: what each costs, and what one does to another.
//
//   npm run bench:organizations       about five minutes
//
// Each row is made by a process of its own. Ratios are of figures of the same run.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { median, publish, startWorker, table } from './harness.mjs'
import { plain, tls } from './servers.mjs'

const COUNTS = [1, 10, 100, 1_000, 3_000]
/** All in one file. */
const FILE_COUNTS = [1, 10, 100, 300, 1_000, 3_000]
const LOADS = { waiting: '300,000 waiting', bodies: 'bodies of 8 MiB', answers: 'answers of 8 MiB' }
const NEIGHBOR_ROUNDS = 2
const PAPER = 100_000

const module = (name) => new URL(`organizations/${name}.mjs`, import.meta.url)

async function runOnce(name, options, more) {
  const worker = await startWorker(module(name), options, more)
  const figures = await worker.round()
  await worker.stop()
  return figures
}

async function grow(kind, server, counts, folder) {
  const rows = []
  for (const count of counts) {
    const options = { url: server.url, count, folder: folder && mkdtempSync(join(folder, 'round-')) }
    const env = server.ca === undefined ? {} : { NODE_EXTRA_CA_CERTS: server.ca }
    const figures = await runOnce('growth', options, { execArgv: ['--expose-gc'], env })
    rows.push({ kind, count, ...figures })
    process.stderr.write(`${kind}, ${count}\n`)
  }
  for (const row of rows) {
    row.onOneUs = row.onOne.us
    row.spreadUs = row.spread.us
    row.onOneRatio = row.onOne.us / rows[0].onOne.us
    row.spreadRatio = row.spread.us / rows[0].onOne.us
    row.rateRatio = row.spread.perSecond / rows[0].onOne.perSecond
    row.kilobytes = row.bytes / 1_000
  }
  return rows
}

async function largeServer() {
  const child = fork(fileURLToPath(module('large-server')))
  const [{ url }] = await once(child, 'message')
  return { url, stop: () => child.disconnect() }
}

async function measureGrowth() {
  const folder = mkdtempSync(join(process.cwd(), '.bench-organizations-'))
  const [http, https] = [await plain(), await tls()]
  try {
    return [
      ...(await grow('memory, http', http, COUNTS)),
      ...(await grow('memory, TLS', https, COUNTS)),
      ...(await grow('file, http', http, FILE_COUNTS, folder)),
    ]
  } finally {
    await Promise.all([http.stop(), https.stop()])
    rmSync(folder, { recursive: true, force: true })
  }
}

async function measureNeighbors() {
  const [server, large, busy] = [await plain(), await largeServer(), await plain()]
  const measureOne = async (load, where) => {
    const loadUrl = load === 'waiting' ? busy.url : large.url
    const worker = await startWorker(module('neighbor'), { url: server.url, load, loadUrl, where })
    const rounds = []
    for (let round = 0; round < NEIGHBOR_ROUNDS; round++) rounds.push(await worker.round())
    await worker.stop()
    process.stderr.write(`neighbor: ${load === undefined ? 'none' : `${load}, ${where}`}\n`)
    return { p50: median(rounds.map(({ p50 }) => p50)), p99: median(rounds.map(({ p99 }) => p99)) }
  }
  const alone = await measureOne()
  const rows = [{ beside: 'nobody', ...alone, ratio: 1, apart: alone.p99, apartRatio: 1 }]
  for (const [load, beside] of Object.entries(LOADS)) {
    const apart = await measureOne(load, 'process')
    const figures = await measureOne(load, 'thread')
    rows.push({ beside, ...figures, ratio: figures.p99 / alone.p99, apart: apart.p99, apartRatio: figures.p99 / apart.p99 })
  }
  await Promise.all([server.stop(), large.stop(), busy.stop()])
  return rows
}

async function measureFairness() {
  const server = await plain()
  const worker = await startWorker(module('fairness'), { url: server.url })
  await worker.round()
  const { least, most } = await worker.round()
  await worker.stop()
  await server.stop()
  return { least, most }
}

/** What 100,000 idle organizations would take, by what the largest number took that was tried. */
function onPaper(rows) {
  const { bytes, openMs } = rows.filter(({ kind }) => kind === 'memory, TLS').at(-1)
  const gigabytes = ((PAPER * bytes) / 1e9).toFixed(1)
  const seconds = Math.round((PAPER * openMs) / 1_000)
  return [
    `- Memory breaks first: ${PAPER.toLocaleString('en-US')} × ${Math.round(bytes / 1_000)} kB = ${gigabytes} GB of resident memory.`,
    `- Opening them takes ${PAPER.toLocaleString('en-US')} × ${openMs.toFixed(2)} ms = ${seconds} s of one thread, in turns of 16.`,
    '- Threads: none more; the engine thread serves all. Descriptors: none while they are idle, since connections close after 10 s.',
    '- A token per organization and day, once it has sent: 100,000 ÷ 86,400 s = 1.2 per second. If all begin to send at once, their',
    '  connections to the login host begin at 2,000 per second, for 50 s.',
    '- In files: none of these threads either, if they share some; a file keeps a row for each organization.',
  ].join('\n')
}

const growth = await measureGrowth()
const neighbors = await measureNeighbors()
const fairness = await measureFairness()

const growthTable = table(growth, [
  ['store, protocol', 'kind'],
  ['senders', 'count'],
  ['open, ms each', 'openMs', 2],
  ['close, ms each', 'closeMs', 2],
  ['kB each', 'kilobytes', 0],
  ['threads each', 'threads', 2],
  ['descriptors each', 'descriptors', 2],
  ['idle wakes per s, all', 'idleWakes', 1],
  ['CPU per message, load on one, µs', 'onOneUs', 1],
  ['÷ 1 sender', 'onOneRatio', 2],
  ['load on all, µs', 'spreadUs', 1],
  ['÷ 1 sender, load on it', 'spreadRatio', 2],
  ['messages per s, load on all ÷ 1 sender', 'rateRatio', 2],
])
const neighborTable = table(neighbors, [
  ['beside one with', 'beside'],
  ['p50, ms', 'p50', 1],
  ['p99, ms', 'p99', 1],
  ['p99 ÷ alone', 'ratio', 2],
  ['p99 with the large one in another process, ms', 'apart', 1],
  ['p99 ÷ that', 'apartRatio', 2],
])
publish('organizations', {
  title: 'Organizations in one process',
  sections: [
    {
      heading: 'What open senders cost',
      body: `${growthTable}\n\nBars: ≤ 0.3 ms and ≤ 40 kB to open one over TLS, ≤ 50 kB and no thread per idle sender, ≤ 1.2 × the CPU per message at 1,000; over a file, ≥ 0.7 × the messages per second at 300. CPU is that of the JavaScript thread and the engine thread, the median of 3 × 6,000 messages, 64 at a time. Bytes are of resident memory: at 1 and 10 senders they say little.`,
    },
    {
      heading: 'A small organization beside a large one',
      body: `${neighborTable}\n\nBar: ≤ 2 × alone. The small one sends a message every 5 ms; the large one is driven by another thread of the same process. Clients and servers share this machine's cores: what that alone costs is what the small one takes while the large one runs in a process of its own.`,
    },
    {
      heading: 'Fairness',
      body: `Of ten organizations with 5,000 messages each and no limits, when half of all were delivered: the slowest had ${fairness.least.toLocaleString('en-US')}, the fastest ${fairness.most.toLocaleString('en-US')}.`,
    },
    { heading: '100,000 idle organizations, on paper', body: onPaper(growth) },
  ],
  figures: { growth, neighbors, fairness },
})
