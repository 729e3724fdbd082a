'use strict'

// The proof of "drop in": SDK calls, axios calls and a backlog of messages spend from one quota, and nobody gets a 429.

const assert = require('node:assert/strict')
const { request: forward } = require('node:http')
const { test } = require('node:test')

const axios = require('axios')
const sdk = require('purecloud-platform-client-v2')

const { createAdapter } = require('spillway/axios')
const { createFetch } = require('spillway/fetch')
const { useSpillway } = require('spillway/sdk')
const { message, open, serve, simulate, until } = require('../http/support.js')

const MESSAGES = 2_000
const CALLS = 60
/** The quota of the organization, faster than a real one: the run takes about five seconds. */
const QUOTA = { requests: 100, perMs: 250 }
/** Interactive calls go before the backlog. */
const INTERACTIVE = { priority: 10 }
/** One call of each kind whenever so many more of the messages have arrived: the last while some still wait. */
const MESSAGES_PER_CALL = 30

const p99 = (numbers) => numbers.sort((a, b) => a - b)[Math.ceil(numbers.length * 0.99) - 1]

/** Hands every request on to the simulator, which doesn't tell in which order they came: `onRequest` gets their paths. */
async function listenOnTheWay(t, simulator, onRequest) {
  const { url } = await serve(t, (request, response) => {
    onRequest(request.url)
    const { method, headers } = request
    const onward = forward(simulator.url + request.url, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers)
      answer.pipe(response)
    })
    onward.on('error', () => response.destroy())
    request.pipe(onward)
  })
  return url
}

test('SDK, axios and fetch calls beside 2,000 messages: no 429, nothing lost, and nobody waits behind the backlog', async (t) => {
  const simulator = await simulate(t, { quota: { ...QUOTA, algorithm: 'sliding-log' }, latencyMs: { min: 1, max: 10 } })
  let messagesArrived = 0
  /** How many requests arrived before each call and each message while it waited, whatever time that took. */
  const [overtook, backlog] = [[], []]
  const calledAfter = []
  const url = await listenOnTheWay(t, simulator, (path) => {
    const call = /[?&]expand=call(\d+)$/.exec(path)?.[1]
    if (call !== undefined) overtook.push(messagesArrived - calledAfter[call])
    else if (!path.startsWith('/oauth')) backlog.push(++messagesArrived + overtook.length)
  })
  const sender = await open(t, url, { rateLimit: QUOTA })

  const client = new sdk.ApiClientClass()
  const { hostname, port } = new URL(url)
  client.setGateway({ host: hostname, protocol: 'http', port: Number(port) })
  useSpillway(client, sender, INTERACTIVE)
  const users = new sdk.UsersApi(client)
  const http = axios.create({ baseURL: url, adapter: createAdapter(sender, INTERACTIVE) })
  const fetch = createFetch(sender, INTERACTIVE)

  const startedAt = performance.now()
  const messages = Array.from({ length: MESSAGES }, (_, index) => {
    return sender.send(message(`m${index}`, `conversation ${index % 50}`, { body: { id: `m${index}`, seq: index, text: 'x' } }))
  })
  const kinds = [
    (expand) => users.getUsersMe({ expand: [expand] }),
    async (expand) => (await http.get('/api/v2/users/me', { params: { expand } })).data,
    async (expand) => (await fetch(`${url}/api/v2/users/me?expand=${expand}`)).json(),
  ]
  const calls = []
  for (let round = 0; round < CALLS; round++) {
    await until(() => messagesArrived >= round * MESSAGES_PER_CALL)
    for (const kind of kinds) {
      const call = calledAfter.push(messagesArrived) - 1
      calls.push(kind(`call${call}`))
    }
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
  assert.equal(overtook.length, CALLS * kinds.length)
  const [before, behind] = [p99(overtook), p99(backlog)]
  t.diagnostic(`${seconds.toFixed(1)} s; p99 of the requests that went before: a call ${before}, a message ${behind}`)
  assert.ok(before <= behind / 10, `before a call went ${before} messages, before a message ${behind} requests (p99)`)
})
