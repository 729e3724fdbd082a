'use strict'
// Two copies of the package in one process: this one, and that of the folder `other`. Prints what comes of them.
const diagnostics = require('node:diagnostics_channel')
const { once } = require('node:events')
const { Worker } = require('node:worker_threads')

const { DeliveryError, Sender, SpillwayError } = require('../../../index.js')

const { other, options, url, act } = JSON.parse(process.argv.at(-1))
const copy = (name = 'index.js') => require(`${other}/${name}`)
const message = (id) => ({ id, conversationId: id, body: { id } })
const told = ({ code, field, message }) => ({ code, field, message })

/** What a worker thread comes to that opens a sender of the other copy. */
async function inWorker() {
  const code = `
    const { workerData: { other, options }, parentPort } = require('node:worker_threads')
    const { Sender } = require(other + '/index.js')
    async function main() {
      const sender = await Sender.open(options)
      await sender.send({ id: 'of the worker', conversationId: 'w', body: {} })
      parentPort.postMessage({ delivered: sender.stats().counters.delivered })
      await sender.close({ timeoutMs: 0 })
    }
    main().catch(({ code, message }) => parentPort.postMessage({ code, message }))`
  const worker = new Worker(code, { eval: true, workerData: { other, options } })
  const [[answer]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')])
  return answer
}

const ACTS = {
  /** Both send; each sees the numbers of both, and an outsider hears of each message once. */
  async budget() {
    const heard = []
    diagnostics.channel('spillway:message:delivered').subscribe(({ id }) => heard.push(id))
    const mine = await Sender.open(options)
    const theirs = await copy().Sender.open(options)
    await Promise.all([mine.send(message('mine')), theirs.send(message('theirs'))])
    const delivered = [mine, theirs].map((sender) => sender.stats().counters.delivered)
    const conflict = await copy()
      .Sender.open({ ...options, ordering: 'none' })
      .then(() => null, told)
    const worker = await inWorker()
    await Promise.all([mine.close(), theirs.close()])
    return { delivered, heard: heard.sort(), conflict, worker }
  },
  /** One of another version comes second. */
  async version() {
    const mine = await Sender.open(options)
    const sender = await copy()
      .Sender.open({ ...options, organization: 'another' })
      .then(() => null, told)
    const simulator = await copy()
      .Simulator.start()
      .then(() => null, told)
    const worker = await inWorker()
    await mine.close()
    return { sender, simulator, worker }
  },
  /** A worker thread is first, and spends what there is. */
  async worker() {
    const worker = await inWorker()
    const mine = await Sender.open(options)
    const { available } = mine.stats().budget
    await mine.close()
    return { worker, available }
  },
  /** Adapters of one copy, a sender of the other. */
  async adapters() {
    const mine = await Sender.open(options)
    const fetch = copy('lib/adapters/fetch/index.js').createFetch(mine)
    const { status } = await fetch(`${url}/api/v2/users/me`)
    await mine.close()
    const closed = await fetch(`${url}/api/v2/users/me`).catch((error) => error)
    const theirs = new (copy().DeliveryError)('of the other')
    return {
      status,
      closed: { name: closed.name, message: closed.message, cause: closed.cause.code },
      instances: [theirs instanceof DeliveryError, theirs instanceof SpillwayError, closed.cause instanceof copy().ClosedError],
    }
  },
}

ACTS[act]().then((answer) => console.log(JSON.stringify(answer)))
