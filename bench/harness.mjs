// What benchmarks share: a server in a process of its own, the recorded peak, the machine's description, and where results go.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import { fileURLToPath } from 'node:url'

import { isGuided } from '../scripts/guided.mjs'

const ROOT = new URL('../', import.meta.url)
const PEAKS = [new URL('../shared/data/webchat-peak.jsonl', ROOT), new URL('examples/webchat-peak.jsonl', ROOT)]

/**
 * `count` messages of the recorded peak, each id once: the one beside the repository when it is there, else that of the
 * examples as often as it takes, each time in other conversations.
 */
export function peak(count = 10_000) {
  const text = readFileSync(
    PEAKS.find((file) => existsSync(file)),
    'utf8',
  )
  const rows = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  const once = [...new Map(rows.map((row) => [row.id, row])).values()]
  const copy = (row, n) => ({ ...row, id: `${row.id}/${n}`, conversationId: `${row.conversationId}/${n}` })
  const copies = Array.from({ length: Math.ceil(count / once.length) }, (_, n) => (n === 0 ? once : once.map((row) => copy(row, n))))
  return copies.flat().slice(0, count)
}

/** The value below which a share of the values lies. */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]
}

export const median = (values) => quantile(values, 0.5)

/** The median of one figure of all rounds, with the lowest and the highest. */
export function summary(rounds, figure) {
  const values = rounds.map(figure)
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

/** A simulator in a process of its own, so that its work isn't counted as the sender's: `{ url, ledger(), stop() }`. */
export async function startServer(config) {
  const child = fork(fileURLToPath(new URL('server.mjs', import.meta.url)), [JSON.stringify(config)])
  const ask = async (question) => {
    const answered = once(child, 'message')
    if (question !== undefined) child.send(question)
    return (await answered)[0]
  }
  const { url } = await ask()
  return {
    url,
    ledger: () => ask('ledger'),
    async stop() {
      const ended = once(child, 'exit')
      child.send('stop')
      await ended
    },
  }
}

/**
 * A client in a process of its own: `{ round(options), stop() }`. `module` exports `start(options)`, which gives an object
 * with `round` and `stop`.
 */
export async function startWorker(module, options = {}, { execArgv = [], env = {} } = {}) {
  const file = fileURLToPath(new URL('worker.mjs', import.meta.url))
  const child = fork(file, [String(module), JSON.stringify(options)], { execArgv, env: { ...process.env, ...env } })
  const ended = once(child, 'exit')
  const died = ended.then(([code]) => Promise.reject(new Error(`a bench's process ended with ${code}`)))
  // Also when nobody asks it anything any more.
  died.catch(() => {})
  const answer = async () => (await Promise.race([once(child, 'message'), died]))[0]
  await answer()
  return {
    async round(round = {}) {
      const answered = answer()
      child.send(round)
      return (await answered).value
    },
    async stop() {
      child.send('stop')
      await ended
    },
  }
}

/** One round of every worker in turn, as often as asked: what else the machine does meets all of them. */
export async function inTurns(rounds, workers, options = () => ({})) {
  const figures = Object.fromEntries(Object.keys(workers).map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const [name, worker] of Object.entries(workers)) figures[name].push(await worker.round(options(name)))
  }
  return figures
}

/** CPU time of this process's threads by name in µs, the JavaScript thread as `main`; undefined where no /proc tells it. */
export function threadsCpuUs() {
  if (!existsSync('/proc/self/schedstat')) return undefined
  const cpu = {}
  for (const thread of readdirSync('/proc/self/task')) {
    try {
      const read = (file) => readFileSync(`/proc/self/task/${thread}/${file}`, 'utf8')
      const name = Number(thread) === process.pid ? 'main' : read('comm').trim()
      cpu[name] = (cpu[name] ?? 0) + Number(read('schedstat').split(' ')[0]) / 1_000
    } catch {
      // The thread has ended meanwhile.
    }
  }
  return cpu
}

/** Runs `work` and gives its value with the wall time and this process's CPU time, all threads together. */
export async function measure(work) {
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  const value = await work()
  const elapsedMs = performance.now() - startedAt
  const { user, system } = process.cpuUsage(cpuBefore)
  return { value, elapsedMs, cpuUs: user + system }
}

/** What figures depend on. No names of hosts or paths. */
export function machine() {
  const cpus = os.cpus()
  return {
    cores: os.availableParallelism?.() ?? cpus.length,
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${process.platform} ${process.arch}`,
    node: process.version,
    build: isGuided() ? 'guided by a profile' : 'without a profile',
  }
}

/** A Markdown table: rows are objects, columns `[heading, key, digits?]`. */
export function table(rows, columns) {
  const show = (value, digits) =>
    typeof value === 'number' ? value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits }) : value
  const cells = [columns.map(([heading]) => heading), ...rows.map((row) => columns.map(([, key, digits = 0]) => show(row[key], digits)))]
  const widths = columns.map((_, column) => Math.max(...cells.map((row) => row[column].length)))
  const line = (row) => `| ${row.map((cell, n) => (n === 0 ? cell.padEnd(widths[n]) : cell.padStart(widths[n]))).join(' | ')} |`
  const rule = `|${widths.map((width, n) => (n === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [line(cells[0]), rule, ...cells.slice(1).map(line)].join('\n')
}

/** Prints the report, and keeps it with its figures in `bench/results/`. */
export function publish(name, { title, sections, figures }) {
  const { cores, cpu, memoryGiB, system, node, build } = machine()
  const where = `${cores} cores of ${cpu}, ${memoryGiB} GiB, ${system}, Node ${node}; the addon built ${build}`
  const parts = sections.flatMap(({ heading, body }) => (heading === undefined ? [body] : [`## ${heading}`, body]))
  const text = `${[`# ${title}`, where, ...parts].join('\n\n')}\n`
  const folder = new URL('bench/results/', ROOT)
  mkdirSync(folder, { recursive: true })
  writeFileSync(new URL(`${name}.md`, folder), text)
  writeFileSync(new URL(`${name}.json`, folder), `${JSON.stringify({ machine: machine(), ...figures }, null, 2)}\n`)
  process.stdout.write(text)
}
