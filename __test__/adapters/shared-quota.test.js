'use strict'

// The proof of "drop in": SDK calls, axios calls and a backlog of messages spend from one quota, and nobody gets a 429.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setTimeout: delay } = require('node:timers/promises')

const axios = require('axios')
const sdk = require('purecloud-platform-client-v2')

const { createAdapter } = require('../../axios.js')
const { createFetch } = require('../../fetch.js')
const { useSpillway } = require('../../sdk.js')
const { message, open, simulate } = require('../http/support.js')

const MESSAGES = 2_000
const CALLS = 60
/** The quota of the organisation, faster than a real one: the run takes about five seconds. */
const QUOTA = { requests: 100, perMs: 250 }
/** Interactive calls go before the backlog. */
const INTERACTIVE = { priority: 10 }

const p99 = (numbers) => numbers.sort((a, b) => a - b)[Math.ceil(numbers.length * 0.99) - 1]

test('SDK, axios and fetch calls beside 2,000 messages: no 429, nothing lost, and nobody waits behind the backlog', async (t) => {
  const simulator = await simulate(t, { quota: { ...QUOTA, algorithm: 'sliding-log' }, latencyMs: { min: 1, max: 10 } })
  const sender = await open(t, simulator, { rateLimit: QUOTA })

  const client = new sdk.ApiClientClass()
  const { hostname, port } = new URL(simulator.url)
  client.setGateway({ host: hostname, protocol: 'http', port: Number(port) })
  useSpillway(client, sender, INTERACTIVE)
  const users = new sdk.UsersApi(client)
  const http = axios.create({ baseURL: simulator.url, adapter: createAdapter(sender, INTERACTIVE) })
  const fetch = createFetch(sender, INTERACTIVE)

  const startedAt = performance.now()
  const backlog = []
  const messages = Array.from({ length: MESSAGES }, async (_, index) => {
    const receipt = await sender.send(message(`m${index}`, `conversation ${index % 50}`, { body: { id: `m${index}`, seq: index, text: 'x' } }))
    backlog.push(performance.now() - startedAt)
    return receipt
  })
  const waits = []
  const calls = []
  const interactive = async (call) => {
    const calledAt = performance.now()
    const answer = await call()
    waits.push(performance.now() - calledAt)
    return answer
  }
  const kinds = [
    () => users.getUsersMe(),
    async () => (await http.get('/api/v2/users/me')).data,
    async () => (await fetch(`${simulator.url}/api/v2/users/me`)).json(),
  ]
  for (let call = 0; call < CALLS; call++) {
    for (const kind of kinds) calls.push(interactive(kind))
    await delay(60)
  }
  const answers = await Promise.all(calls)
  const receipts = await Promise.all(messages)
  const seconds = (performance.now() - startedAt) / 1_000

  assert.deepEqual(new Set(answers.map(({ name }) => name)), new Set(['Spillway Simulator']))
  assert.equal(receipts.length, MESSAGES)
  const ledger = simulator.ledger()
  assert.equal(ledger.refused, 0)
  assert.equal(ledger.accepted, MESSAGES + CALLS * kinds.length)
  assert.equal(ledger.uniqueIds, MESSAGES)
  assert.equal(ledger.duplicates, 0)
  assert.equal(ledger.orderViolations, 0)
  assert.ok(ledger.mostInWindow <= QUOTA.requests, `${ledger.mostInWindow} in a window`)
  const [interactiveMs, backlogMs] = [p99(waits), p99(backlog)]
  t.diagnostic(`${seconds.toFixed(1)} s; p99 wait: interactive ${interactiveMs.toFixed(0)} ms, backlog ${backlogMs.toFixed(0)} ms`)
  assert.ok(interactiveMs <= backlogMs / 10, `p99 of interactive calls ${interactiveMs} ms, of the backlog ${backlogMs} ms`)
})
