'use strict'

const { freePort } = require('../../lib/cli/local-redis.js')
const { until } = require('../until.js')
const { redis, tell } = require('./support.js')

const SLOTS = 16_384
const NODES = 3

/** A cluster of three primaries on loopback. */
async function cluster(t) {
  const nodes = []
  for (let index = 0; index < NODES; index++) {
    const bus = await freePort()
    const { port } = await redis(t, { args: ['--cluster-enabled', 'yes', '--cluster-port', `${bus}`] })
    nodes.push({ port, bus, id: (await tell(port, 'CLUSTER MYID')).split('\r\n').at(-1) })
  }
  for (const [index, { port }] of nodes.entries()) {
    const first = Math.ceil((index * SLOTS) / NODES)
    const last = Math.ceil(((index + 1) * SLOTS) / NODES) - 1
    await tell(port, `CLUSTER ADDSLOTSRANGE ${first} ${last}`)
    if (index > 0) await tell(nodes[0].port, `CLUSTER MEET 127.0.0.1 ${port} ${nodes[index].bus}`)
  }
  for (const { port } of nodes) await until(async () => /cluster_state:ok/.test(await tell(port, 'CLUSTER INFO')))

  /** How many clients this node has sent elsewhere, by `ASK` or `MOVED`. */
  const redirected = async ({ port }, kind) =>
    Number(new RegExp(`errorstat_${kind}:count=(\\d+)`).exec(await tell(port, 'INFO errorstats'))?.[1] ?? 0)

  /** Moves a key, but not yet its slot, to the next node; `finish()` does the rest. */
  async function move(key) {
    const slot = Number((await tell(nodes[0].port, `CLUSTER KEYSLOT ${key}`)).slice(1))
    const at = nodes.findIndex((_, index) => slot < Math.ceil(((index + 1) * SLOTS) / NODES))
    const [from, to] = [nodes[at], nodes[(at + 1) % NODES]]
    await tell(to.port, `CLUSTER SETSLOT ${slot} IMPORTING ${from.id}`)
    await tell(from.port, `CLUSTER SETSLOT ${slot} MIGRATING ${to.id}`)
    await tell(from.port, `MIGRATE 127.0.0.1 ${to.port} ${key} 0 5000`)
    const finish = async () => {
      for (const { port } of [to, from]) await tell(port, `CLUSTER SETSLOT ${slot} NODE ${to.id}`)
    }
    return { from, to, finish }
  }

  return { url: `redis+cluster://127.0.0.1:${nodes[0].port},127.0.0.1:${nodes[1].port}`, move, redirected }
}

module.exports = { cluster }
