'use strict'

const { fork } = require('node:child_process')
const path = require('node:path')

const { SpillwayError } = require('../errors.js')
const { NO_PROGRESS, Progress } = require('./progress.js')
const { startLocalRedis } = require('./local-redis.js')

const HOST = path.join(__dirname, 'demo-host.js')

/** Sends the peak through so many processes that share a budget, each with its part of the conversations. */
async function throughFleet({ peak, signal, io, quiet, hosts: count, budget, mayInstall }, simulator, options) {
  const redis = budget === undefined ? await startLocalRedis({ mayInstall }) : { url: budget, stop: async () => {} }
  const hosts = Array.from({ length: count }, () => new Host())
  const abort = () => hosts.forEach((host) => host.end())
  signal.addEventListener('abort', abort)
  const rate = { requests: peak.quota, perMs: 1000 }
  try {
    await all(hosts, 'open', () => ({ options: { ...options, budget: redis.url, rateLimit: rate } }))
    if (!quiet)
      io.stdout.write(`\n${count} hosts, one budget. A new Redis hands nothing out for 8 s: hosts that it does not know may hold shares.\n`)
    await all(hosts.slice(0, 1), 'warmUp')
    const parts = partsOf(peak.rows, count)
    const total = (field) => hosts.reduce((sum, { reading }) => sum + reading[field], 0)
    const shares = () => `shares ${hosts.map(({ reading }) => reading.share).join(' ')}`
    const read = () => ({ settled: total('settled'), total: peak.rows.length, note: shares() })
    const progress = quiet ? NO_PROGRESS : new Progress(io.stdout, 'spillway   ', read)
    try {
      const ends = await all(hosts, 'replay', (index) => ({ rows: parts[index], speed: peak.speed }))
      const slowest = (read) => Math.max(...ends.map(read))
      return {
        name: `Spillway, ${count} hosts`,
        duplicatesRecognized: ends.reduce((sum, { duplicates }) => sum + duplicates, 0),
        elapsedMs: slowest(({ elapsedMs }) => elapsedMs),
        delayMs: {
          p50: slowest(({ delayMs }) => delayMs.p50),
          p99: slowest(({ delayMs }) => delayMs.p99),
          max: slowest(({ delayMs }) => delayMs.max),
        },
        warmUps: 1,
      }
    } finally {
      progress.stop()
    }
  } finally {
    signal.removeEventListener('abort', abort)
    await Promise.all(hosts.map((host) => host.end()))
    await redis.stop()
  }
}

const all = (hosts, task, argument = () => ({})) => Promise.all(hosts.map((host, index) => host.do(task, argument(index))))

/** A conversation has one host, or its order would be anybody's. */
function partsOf(rows, count) {
  const parts = Array.from({ length: count }, () => [])
  const homes = new Map()
  for (const row of rows) {
    if (!homes.has(row.conversationId)) homes.set(row.conversationId, homes.size % count)
    parts[homes.get(row.conversationId)].push(row)
  }
  return parts
}

class Host {
  reading = { settled: 0, share: 0 }
  #child = fork(HOST, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  #ended = new Promise((resolve) => this.#child.on('exit', resolve))
  #waiting

  constructor() {
    this.#child.on('message', ({ reading, value, problem }) => {
      if (reading) this.reading = reading
      else if (problem === undefined) this.#waiting.resolve(value)
      else this.#waiting.reject(new SpillwayError(problem, { code: 'STORE_FAILED' }))
    })
  }

  do(task, argument) {
    const done = new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
    this.#child.send({ task, ...argument })
    const gone = this.#ended.then(() => Promise.reject(new SpillwayError('a host has ended', { code: 'CLOSED' })))
    return Promise.race([done, gone])
  }

  async end() {
    this.#child.kill()
    await this.#ended
  }
}

module.exports = { throughFleet }
