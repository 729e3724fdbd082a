import { once, type EventEmitter } from 'node:events'

import {
  type QuotaWindow,
  Sender,
  type Acceptance,
  type ApiResponse,
  type DeadLetter,
  type DeadLetterEvent,
  type DiagnosticsChannels,
  type Explanation,
  type Message,
  type Receipt,
  type Redriven,
  type SenderOptions,
  type Stats,
  type TokenState,
} from '../../index.js'
import { expect, type Equal } from './equal.js'

const credentials = { clientId: 'id', clientSecret: 'secret' }
const base = {
  organization: 'acme',
  region: 'us-east-1',
  credentials,
  route: 'messaging',
  store: 'memory',
  rateLimit: { requests: 100, perMs: 1_000 },
} as const satisfies SenderOptions

// Everything that the options know.
const all: SenderOptions = {
  ...base,
  apiUrl: 'https://api.example',
  loginUrl: 'https://login.example',
  credentials: { accessToken: async () => 'token' },
  route: { path: '/x/{conversationId}/y', textField: 'text', array: false, maxTextLength: 2_000 },
  rateLimit: [
    { requests: 10, perMs: 1_000, burst: 5 },
    { requests: 300, perMs: 60_000 },
  ],
  batch: {
    mode: 'none',
    maxMessages: 10,
    maxBytes: 256_000,
    lingerMs: 500,
    arrayOrdered: false,
    textUnits: 'sms',
    ignore: ['channel.time'],
    keep: 'last',
    channel: 'instagram',
    maxTextLength: 1_000,
    cost: 'request',
  },
  retry: { maxAttempts: 10, maxAgeMs: 600_000, ambiguous: 'fail', maxPauseMs: 180_000 },
  ordering: 'none',
  queue: { maxMessages: 1, maxBytes: 1_024, whenFull: 'reject' },
  connections: { max: 64, connectTimeoutMs: 5_000, requestTimeoutMs: 16_000 },
  dedupeMs: 0,
}
const shared: SenderOptions = {
  ...base,
  rateLimit: { requests: 300, perMs: 60_000 },
  budget: 'rediss+sentinel://a:26379,b/main',
  whenBudgetUnreachable: { requests: 10, perMs: 1_000 },
}
const held: SenderOptions = { ...shared, budget: 'redis://localhost', whenBudgetUnreachable: 'hold' }
// @ts-expect-error: a budget is shared through a Redis.
const elsewhere: SenderOptions = { ...shared, budget: 'https://localhost' }
// @ts-expect-error: there are two ways.
const guessed: SenderOptions = { ...shared, whenBudgetUnreachable: 'guess' }

const file: SenderOptions = { ...base, store: 'file:./outbox.db', rateLimit: 'learn', batch: { mode: 'merge' } }

const learning: SenderOptions = {
  ...base,
  rateLimit: {
    learn: true,
    start: { requests: 5, perMs: 1_000 },
    floor: { requests: 1, perMs: 1_000 },
    ceiling: { requests: 9, perMs: 1_000 },
    readLimits: true,
  },
}
// @ts-expect-error learning is switched on by true
const notLearning: SenderOptions = { ...base, rateLimit: { learn: false } }
const array: SenderOptions = { ...base, route: 'messaging-array', batch: { mode: 'array', arrayOrdered: true, cost: 'learn' } }
const merge: SenderOptions = { ...base, batch: { mode: 'merge', textUnits: 'codepoints', cost: 'message' } }

// @ts-expect-error no such mode
const noMode: SenderOptions = { ...base, batch: { mode: 'bulk' } }
// @ts-expect-error no such unit
const noUnits: SenderOptions = { ...base, batch: { mode: 'merge', textUnits: 'chars' } }
// @ts-expect-error a cost is a word
const noCost: SenderOptions = { ...base, batch: { cost: 2 } }
// @ts-expect-error a store must be chosen
const noStore: SenderOptions = { organization: 'a', credentials, route: 'messaging', rateLimit: { requests: 1, perMs: 1 } }
// @ts-expect-error no such region
const noRegion: SenderOptions = { ...base, region: 'us-east-9' }
// @ts-expect-error no such route
const noRoute: SenderOptions = { ...base, route: 'messages' }
// @ts-expect-error a client or a token, not both
const both: SenderOptions = { ...base, credentials: { ...credentials, accessToken: 'token' } }
const several: SenderOptions = {
  ...base,
  credentials: [credentials, { ...credentials, name: 'survey' }],
  organizationLimit: [{ requests: 500, perMs: 60_000 }],
}
// @ts-expect-error a list takes clients alone
const listed: SenderOptions = { ...base, credentials: [{ accessToken: 'token' }] }
// @ts-expect-error no such store
const noSuchStore: SenderOptions = { ...base, store: 'disk' }
// @ts-expect-error an unknown key
const unknownKey: SenderOptions = { ...base, rateLimits: [] }

// @ts-expect-error a sender is opened, not constructed
new Sender()

async function members(): Promise<void> {
  await using sender = await Sender.open(base)
  const { signal } = new AbortController()
  interface Body {
    text: string
  }
  const body: Body = { text: 'hi' }
  const message: Message = { conversationId: 'c', body }

  expect<Equal<ReturnType<typeof sender.send>, Promise<Receipt>>>()
  expect<Equal<ReturnType<typeof sender.enqueue>, Promise<Acceptance>>>()
  expect<Equal<ReturnType<typeof sender.request>, Promise<ApiResponse>>>()
  expect<Equal<ReturnType<typeof sender.explain>, Promise<Explanation>>>()
  expect<Equal<ReturnType<typeof sender.stats>, Stats>>()
  expect<Equal<ReturnType<typeof sender.metrics> | ReturnType<typeof Sender.metrics>, string>>()
  expect<Equal<ReturnType<typeof sender.redrive>, Promise<Redriven>>>()
  expect<Equal<ReturnType<typeof sender.drop>, Promise<void>>>()
  expect<Equal<ReturnType<typeof sender.drain>, Promise<void>>>()
  expect<Equal<ReturnType<typeof sender.close>, Promise<{ undelivered: number }>>>()

  expect<Equal<ApiResponse['statusText'], string>>()

  const receipt = await sender.send(message, { signal })
  expect<Equal<typeof receipt.duplicate, boolean | undefined>>()
  expect<Equal<typeof receipt.batchSize, number>>()
  await sender.enqueue({ ...message, id: 'i', params: { a: 'b' }, priority: 1, expiresInMs: 1, notBefore: new Date() })
  await sender.send({ conversationId: 'c', body: null, notBefore: 0 })
  // @ts-expect-error a body is required
  await sender.send({ conversationId: 'c' })
  // @ts-expect-error undefined is no JSON
  await sender.send({ conversationId: 'c', body: undefined })
  await sender.enqueue({ ...message, headers: { 'Genesys-App': 'acme-bridge' } as const })
  // @ts-expect-error headers are strings
  await sender.send({ ...message, headers: { 'x-count': 1 } })
  // @ts-expect-error headers are a plain object
  await sender.send({ ...message, headers: new Map([['a', 'b']]) })
  // @ts-expect-error params are strings
  await sender.send({ ...message, params: { a: 1 } })
  // @ts-expect-error no such field
  await sender.send({ ...message, conversationID: 'c' })
  // @ts-expect-error no such option
  await sender.send(message, { timeoutMs: 1 })

  await sender.request({ method: 'GET', path: '/a', query: { a: 'b', n: 1, yes: true, list: ['x'] }, headers: { x: 'y' } })
  await sender.request({ method: 'POST', path: '/a', body: new Uint8Array(1), timeoutMs: 1, maxResponseBytes: 1 }, { signal })
  await sender.request({ method: 'POST', path: '/a', retry: false, deadlineMs: 1, idempotent: true })
  await sender.request({ method: 'POST', path: '/a', retry: { maxAttempts: 1, maxAgeMs: 0 } })
  // @ts-expect-error what is ambiguous is a matter of the call's idempotence
  await sender.request({ method: 'POST', path: '/a', retry: { ambiguous: 'fail' } })
  // @ts-expect-error methods are upper case
  await sender.request({ method: 'get', path: '/a' })

  for await (const letter of sender.deadLetters()) {
    expect<Equal<typeof letter, DeadLetter>>()
    const nothing = await sender.redrive(letter.id)
    expect<Equal<typeof nothing, void>>()
  }
  const { redriven, full, unsendable } = await sender.redrive({ reason: 'rejected', status: 403, since: new Date() })
  expect<Equal<typeof redriven | typeof full | typeof unsendable, number>>()
  await sender.redrive({})
  // @ts-expect-error it is no dead letter
  await sender.redrive({ reason: 'unreadable' })
  // @ts-expect-error no such filter
  await sender.redrive({ until: 0 })
  await sender.drain({ timeoutMs: 1, signal })
  const { undelivered } = await sender.close({ timeoutMs: 1 })
  expect<Equal<typeof undelivered, number>>()
}

function events(sender: Sender): void {
  sender
    .on('delivered', (receipt) => expect<Equal<typeof receipt, Receipt>>())
    .once('deadLetter', (letter) => expect<Equal<typeof letter, DeadLetterEvent>>())
    .on('throttled', ({ scope, route, key, value, reason, untilMs, pauseMs, long }) => {
      expect<Equal<typeof scope, 'organization' | 'token' | 'route' | 'conversation' | 'unknown'>>()
      expect<Equal<typeof route | typeof key, string | null>>()
      expect<Equal<typeof value, number | null>>()
      expect<Equal<typeof reason, 'retry-after' | 'reset' | 'text' | 'backoff' | 'operator'>>()
      expect<Equal<typeof untilMs | typeof pauseMs, number>>()
      expect<Equal<typeof long, boolean>>()
    })
    .prependListener('resumed', ({ pausedMs }) => expect<Equal<typeof pausedMs, number>>())
    .prependListener('resumed', ({ conversationId }) => expect<Equal<typeof conversationId, string | null>>())
    .on('quota', ({ source, windows }) => {
      expect<Equal<typeof source, 'configured' | 'learned'>>()
      expect<Equal<(typeof windows)[0]['why'], 'configured' | 'start' | 'limits' | 'headers' | 'refusals'>>()
      expect<Equal<(typeof windows)[0]['share'], number | null>>()
    })
    .addListener('outage', ({ open }) => expect<Equal<typeof open, boolean>>())
    .on('drain', (...nothing) => expect<Equal<typeof nothing, []>>())
    .off('drain', () => {})
  // @ts-expect-error a dead letter's event has no body
  sender.on('deadLetter', (letter) => letter.body)
  const emitter: EventEmitter = sender
  void once(emitter, 'drain')
}

function stats(sender: Sender): void {
  const { counters, queue, quota, budget, pause, outage, outages, latencies, store } = sender.stats()
  expect<Equal<typeof counters.deadLettersDropped | typeof queue.inFlight | typeof budget.available, number>>()
  expect<Equal<(typeof quota.windows)[number], QuotaWindow>>()
  expect<Equal<typeof latencies.totalMs.p99, number>>()
  expect<Equal<NonNullable<typeof store>['unreadablePages'], number | undefined>>()
  // @ts-expect-error there may be no pause
  pause.reason
  expect<Equal<NonNullable<typeof pause>['nextProbeMs'], number | null>>()
  // @ts-expect-error there may be no outage
  outage.reason
  expect<Equal<(typeof outages)[number]['route'], string | null>>()
  expect<Equal<(typeof outages)[number]['nextProbeMs'], number | null>>()
}

function operated(sender: Sender): void {
  expect<Equal<ReturnType<Sender['pause']>, Promise<void>>>()
  void sender.pause()
  void sender.pause({ forMs: 60_000 })
  void sender.resume({ scope: 'organization' })
  void sender.resume({ scope: { route: 'GET /api/v2/users/{}' } })
  void sender.resume({ scope: { conversationId: 'c-1' } })
  // @ts-expect-error no such scope
  void sender.resume({ scope: 'conversation' })
  const { pauses, outage } = sender.stats()
  expect<Equal<(typeof pauses)[number]['untilMs'], number | null>>()
  expect<Equal<(typeof pauses)[number]['scope'], 'organization' | 'token' | 'route' | 'conversation' | 'unknown'>>()
  expect<Equal<(typeof pauses)[number]['key'], string | null>>()
  expect<Equal<(typeof pauses)[number]['token'], string | undefined>>()
  expect<Equal<Stats['tokens'], TokenState[] | null>>()
  expect<Equal<NonNullable<typeof outage>['message'], string | null>>()
}

function diagnosed(channels: DiagnosticsChannels): void {
  const end = channels['spillway:request:end']
  expect<Equal<typeof end.status, number | null>>()
  // @ts-expect-error a channel tells no body
  channels['spillway:message:delivered'].body
}

export {
  all,
  array,
  both,
  diagnosed,
  elsewhere,
  events,
  file,
  guessed,
  held,
  members,
  merge,
  noCost,
  noMode,
  noRegion,
  noRoute,
  noStore,
  noSuchStore,
  noUnits,
  shared,
  stats,
  several,
  listed,
  unknownKey,
}
