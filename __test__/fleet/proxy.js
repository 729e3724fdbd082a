'use strict'

const { once } = require('node:events')
const net = require('node:net')

const { defer } = require('../defer.js')

/** A way to a Redis that can be cut, made slow, or lose what comes back. */
async function proxy(t, port) {
  const pairs = new Set()
  let state = { isCut: false, isMute: false, delayMs: () => 0 }
  const forward = (from, to, isAnswer) => {
    let due = Promise.resolve()
    from.on('data', (chunk) => {
      const ms = state.delayMs()
      // One after the other, however long each takes.
      due = due.then(() => ms && new Promise((resolve) => setTimeout(resolve, ms)))
      due.then(() => (isAnswer && state.isMute) || to.write(chunk))
    })
    from.on('close', () => to.destroy())
    from.on('error', () => to.destroy())
  }
  const server = net.createServer((client) => {
    if (state.isCut) return client.destroy()
    const upstream = net.connect(port, '127.0.0.1')
    const pair = [client, upstream]
    pairs.add(pair)
    client.on('close', () => pairs.delete(pair))
    forward(client, upstream, false)
    forward(upstream, client, true)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const cut = () => {
    state.isCut = true
    for (const pair of pairs) for (const socket of pair) socket.destroy()
  }
  defer(t, () => {
    cut()
    server.close()
  })
  return {
    port: server.address().port,
    cut,
    set: (more) => (state = { ...state, ...more }),
  }
}

module.exports = { proxy }
