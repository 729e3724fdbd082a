'use strict'

// A fleet: a real Redis, a simulator that judges, and hosts that are processes. What is started here ends with its test.

const assert = require('node:assert/strict')
const { fork } = require('node:child_process')
const { once } = require('node:events')
const net = require('node:net')
const path = require('node:path')

const { defer } = require('../defer.js')
const { optionsFor, simulate, textOf } = require('../http/support.js')
const { startRedis } = require('../redis.js')
const { settled, until } = require('../until.js')

const HOST = path.join(__dirname, 'children/host.js')

async function redis(t, options) {
  const server = await startRedis(options)
  defer(t, () => server.stop())
  return server
}

/** Says something to a Redis, in its inline form. Gives its whole answer; an error is one. */
async function tell(port, command) {
  const socket = net.connect(port, '127.0.0.1')
  // It answers what it has read before it closes its side, too.
  socket.end(`${command}\r\n`)
  const answer = await settled(textOf(socket))
  assert.doesNotMatch(answer, /^-/m, command)
  return answer.trimEnd()
}

/** A process with a sender. */
class Host {
  #child
  #waiting = new Map()
  #number = 0
  #end = null
  events = []

  constructor(name, child) {
    this.name = name
    this.#child = child
    child.on('message', ({ number, value, problem, ...told }) => {
      if (told.event) return this.events.push(told)
      const { resolve, reject } = this.#waiting.get(number)
      this.#waiting.delete(number)
      problem === undefined ? resolve(value) : reject(new Error(problem))
    })
    child.on('error', (error) => this.#over(`failed: ${error.message}`))
    child.on('exit', (code, signal) => this.#over(`ended by ${signal ?? `exit code ${code}`}`))
  }

  #over(how) {
    this.#end ??= new Error(`host ${this.name} ${how}`)
    for (const { reject } of this.#waiting.values()) reject(this.#end)
    this.#waiting.clear()
  }

  async do(task, argument) {
    if (this.#end !== null) throw this.#end
    const number = ++this.#number
    return settled(
      new Promise((resolve, reject) => {
        this.#waiting.set(number, { resolve, reject })
        this.#child.send({ number, task, argument })
      }),
    )
  }

  signal(name) {
    this.#child.kill(name)
  }

  async end() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.kill('SIGKILL')
    await once(this.#child, 'exit')
  }

  async read() {
    return this.do('read')
  }

  /** The first event of this name for which `wanted` holds. */
  event(name, wanted = () => true) {
    return until(() => {
      const found = this.events.find((told) => told.event === name && wanted(told.payload))
      if (found === undefined && this.#end !== null) throw this.#end
      return found
    })
  }
}

/** Hosts with the same options, and the simulator that they send to. The quota is what it allows in any rolling window. */
async function fleet(t, { names = ['a', 'b', 'c', 'd'], quota = { requests: 50, perMs: 1_000 }, simulator: config, env = {}, ...options }) {
  const simulator = await simulate(t, { quota: { ...quota, algorithm: 'sliding-log' }, latencyMs: { min: 2, max: 10 }, ...config })
  const shared = optionsFor(simulator, { rateLimit: quota, ...options })
  const join = async (name, more = {}) => {
    const host = new Host(name, fork(HOST, { env: { ...process.env, ...env } }))
    defer(t, () => host.end())
    await host.do('open', { ...shared, ...more })
    return host
  }
  const hosts = await Promise.all(names.map((name) => join(name)))
  return { simulator, hosts, join, organization: shared.organization }
}

/** The ledger's word on the budget: never more than the quota in any rolling window, so that nothing was refused. */
function assertExact(simulator, quota) {
  const { mostInWindow, refused, arrivals } = simulator.ledger()
  assert.ok(arrivals > 0, 'something has arrived')
  assert.ok(mostInWindow <= quota.requests, `${mostInWindow} in a window that allows ${quota.requests}`)
  assert.equal(refused, 0)
}

/** Everything that the hosts were given has arrived. */
async function allDelivered(hosts, count) {
  for (const host of hosts) {
    await until(async () => {
      const { delivered, failed } = await host.read()
      assert.equal(failed, 0, `of ${host.name}`)
      return delivered >= count
    })
  }
}

const QUOTA = { requests: 50, perMs: 1_000 }
/** More than leases last for that are in force when Redis is gone. */
const COUNT = 300

/** A fleet of two whose messages are on their way, some of them delivered. */
async function underWay(t, url, { count = COUNT, ...options } = {}) {
  const all = await fleet(t, { names: ['a', 'b'], budget: url, quota: QUOTA, ...options })
  await Promise.all(all.hosts.map((host) => host.do('send', { prefix: host.name, count })))
  for (const host of all.hosts) await until(async () => (await host.read()).delivered > COUNT / 4)
  return all
}

/** All of it arrives, once, and never more than the quota in a window. */
async function goesOn(simulator, hosts, count = COUNT) {
  await allDelivered(hosts, count)
  assertExact(simulator, QUOTA)
  assert.equal(simulator.ledger().uniqueIds, hosts.length * count)
}

const isBudgets = (open) => (outage) => outage.reason === 'budget' && outage.open === open

module.exports = { allDelivered, assertExact, COUNT, fleet, goesOn, isBudgets, QUOTA, redis, tell, underWay }
