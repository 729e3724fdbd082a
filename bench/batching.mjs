// The modes of batching side by side: what a quota's requests carry, how long messages wait, what it costs.
//
//   npm run bench:batching
import { setTimeout as sleep } from 'node:timers/promises'

import { Sender } from '../index.mjs'
import { measure, median, peak, publish, quantile, startServer, table } from './harness.mjs'

/** 100 requests a second, ten times as fast. */
const RATE = { requests: 100, perMs: 100 }
const NO_QUOTA = { requests: 1_000_000, perMs: 1_000 }
const LIGHT = { messages: 250, everyMs: 20, lingerMs: 100 }
const ROUNDS = 5

const rows = peak()
const whole = ({ id, conversationId, seq, type, from, text }) => ({
  id,
  conversationId,
  body: { id, conversationId, seq, type, from, text },
})
// Messages of one conversation merge when they differ in nothing but their text.
const plain = ({ id, conversationId, type, from, text }) => ({ id, conversationId, body: { type, from, text } })

const ARRAY = { route: 'messaging-array', shape: whole }
const MODES = [
  { name: 'none', route: 'messaging', batch: { mode: 'none' }, shape: whole },
  { name: 'array of 10', ...ARRAY, batch: { mode: 'array' } },
  { name: 'array of 10, ordered', ...ARRAY, batch: { mode: 'array', arrayOrdered: true } },
  { name: 'merge', route: 'messaging', batch: { mode: 'merge' }, shape: plain },
]

let organizations = 0

async function withSender({ route, batch }, rateLimit, config, work) {
  const server = await startServer(config)
  const sender = await Sender.open({
    organization: `bench-${++organizations}`,
    apiUrl: server.url,
    loginUrl: server.url,
    store: 'memory',
    credentials: { clientId: 'bench', clientSecret: 'bench' },
    route,
    batch,
    rateLimit,
  })
  try {
    // The token, and a warm connection.
    await sender.request({ method: 'GET', path: '/api/v2/users/me' })
    return await work(sender, server)
  } finally {
    await sender.close()
    await server.stop()
  }
}

const sendAll = (sender, messages) => Promise.all(messages.map((message) => sender.send(message)))

/** The whole peak as one backlog under a quota. */
function underQuota(mode) {
  return withSender(mode, RATE, { quota: RATE, latencyMs: { min: 0, max: 3 } }, async (sender, server) => {
    const { elapsedMs } = await measure(() => sendAll(sender, rows.map(mode.shape)))
    const { totalMs } = sender.stats().latencies
    const { arrivals, refused, orderViolations, duplicates } = await server.ledger()
    const requests = arrivals - 1
    return {
      name: mode.name,
      messages: rows.length,
      requests,
      perRequest: rows.length / requests,
      perSecond: rows.length / (elapsedMs / 1_000),
      delayP50Ms: totalMs.p50,
      delayP99Ms: totalMs.p99,
      refused,
      orderViolations,
      duplicates,
    }
  })
}

/** A message now and then, each of another conversation, and nothing to wait for but company. */
function atLightLoad(mode) {
  const batch = { ...mode.batch, lingerMs: LIGHT.lingerMs }
  return withSender({ ...mode, batch }, NO_QUOTA, {}, async (sender) => {
    const sent = []
    for (const [index, row] of rows.slice(0, LIGHT.messages).entries()) {
      sent.push(sender.send({ ...mode.shape(row), conversationId: `conversation ${index}` }))
      await sleep(LIGHT.everyMs)
    }
    const waits = (await Promise.all(sent)).map((receipt) => receipt.queuedMs)
    return {
      name: mode.name,
      waitP50Ms: quantile(waits, 0.5),
      waitP99Ms: quantile(waits, 0.99),
      waitMaxMs: quantile(waits, 1),
      requests: sender.stats().counters.requests - 1,
    }
  })
}

/** CPU of this process, JavaScript and engine together, for each message of a backlog that no quota holds up. */
function withoutQuota(mode) {
  return withSender(mode, NO_QUOTA, {}, async (sender) => {
    const messages = rows.map(mode.shape)
    const { cpuUs, elapsedMs } = await measure(() => sendAll(sender, messages))
    return { cpuUs: cpuUs / rows.length, perSecond: rows.length / (elapsedMs / 1_000) }
  })
}

async function costs() {
  const single = { maxMessages: 1, lingerMs: 0 }
  const modes = [
    { name: 'none, to the array route', ...ARRAY, batch: { mode: 'none' } },
    { name: 'array of 1', ...ARRAY, batch: { mode: 'array', ...single } },
    MODES[1],
    { name: 'none', route: 'messaging', batch: { mode: 'none' }, shape: plain },
    { name: 'merge of 1', route: 'messaging', batch: { mode: 'merge', ...single }, shape: plain },
    MODES[3],
  ]
  await withoutQuota(modes[0])
  const runs = modes.map(() => [])
  // In turns, so that what else the machine does meets all of them.
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, mode] of modes.entries()) runs[index].push(await withoutQuota(mode))
  }
  const figures = modes.map((mode, index) => ({
    name: mode.name,
    cpuUs: median(runs[index].map((run) => run.cpuUs)),
    perSecond: median(runs[index].map((run) => run.perSecond)),
  }))
  return figures.map((figure, index) => ({ ...figure, addedUs: figure.cpuUs - figures[index < 3 ? 0 : 3].cpuUs }))
}

const quota = []
for (const mode of MODES) quota.push(await underQuota(mode))
const light = await Promise.all(MODES.map(atLightLoad))
const cpu = await costs()

publish('batching', {
  title: 'Batching',
  sections: [
    {
      heading: `A backlog of ${rows.length.toLocaleString('en-US')} messages under a quota of ${RATE.requests} requests in ${RATE.perMs} ms`,
      body: table(quota, [
        ['mode', 'name'],
        ['messages/s', 'perSecond'],
        ['requests', 'requests'],
        ['messages a request', 'perRequest', 2],
        ['delay p50, ms', 'delayP50Ms'],
        ['delay p99, ms', 'delayP99Ms'],
        ['429s', 'refused'],
        ['out of order', 'orderViolations'],
        ['twice', 'duplicates'],
      ]),
    },
    {
      heading: `Light load: a message every ${LIGHT.everyMs} ms, lingerMs ${LIGHT.lingerMs}`,
      body: table(light, [
        ['mode', 'name'],
        ['wait p50, ms', 'waitP50Ms', 1],
        ['wait p99, ms', 'waitP99Ms', 1],
        ['wait max, ms', 'waitMaxMs', 1],
        ['requests', 'requests'],
      ]),
    },
    {
      heading: 'CPU of the process for each message of the same backlog, without a quota',
      body: `${table(cpu, [
        ['mode', 'name'],
        ['CPU, µs a message', 'cpuUs', 2],
        ['added by batching, µs', 'addedUs', 2],
        ['messages/s', 'perSecond'],
      ])}\n\nMedian of ${ROUNDS} rounds, JavaScript and engine together. Added: over \`none\` with the same bodies on the same route; below zero, it saves.`,
    },
  ],
  figures: { quota, light, cpu },
})
