/// <reference lib="esnext.disposable" />
/// <reference types="node" />

import { EventEmitter } from 'node:events'

// ------------------------------------------------------------------------------------------------------- options

/** The options of {@link Sender.open}. Unknown keys and values out of range are a {@link ConfigError} that names them. */
export interface SenderOptions {
  /**
   * The organisation (tenant) whose limit is shared. Senders with one key share one engine, one outbox and one budget,
   * over all worker threads of the process; their other options must be equal, else `open` rejects with a
   * {@link ConfigError} of code `CONFIG_CONFLICT`. 1 to 256 bytes.
   */
  organization: string
  /** The AWS region of the organisation: decides the API and the login host. Required unless `apiUrl` is given. */
  region?: Region
  /** Base URL of the API, `http` or `https`, without query. Default: the region's `https://api.…`. */
  apiUrl?: string
  /** Base URL of the login host, whose `/oauth/token` gives tokens. Default: the region's, else that of `apiUrl`. */
  loginUrl?: string
  /** How access tokens are obtained. Never shown in an error, an event or a number. */
  credentials: ClientCredentials | AccessTokenCredentials
  /** Where messages go: a preset, or a path of your own. */
  route: RoutePreset | CustomRoute
  /**
   * Where the outbox and the budget live, and so how far they reach. Must be chosen, there is no default:
   * - `'memory'`: this process and all its worker threads; ends with the process.
   * - `'file:PATH'`: a file on this machine, and all threads of the one process that owns it; survives the process and,
   *   since every message is on disk before it is accepted, a power cut. `'file:PATH?durability=process-crash'` survives
   *   the process only, and doesn't wait for the disk. A relative path is that of the moment of opening. The directory
   *   must exist; the file and its companions (`-wal`, `-shm`, `-lock`) have mode 0600. If the path is a link, they lie beside
   *   the file that it leads to; a link in their own place is refused.
   * - `'redis://…'`: not available in this version; a {@link ConfigError}.
   */
  store: 'memory' | `file:${string}` | `redis://${string}` | `rediss://${string}`
  /**
   * What the organisation is allowed. Several windows hold together, 1 to 8 of them.
   *
   * `'learn'`, or {@link LearnOptions}: nobody knows. The quota is learned from what the server says: its headers
   * (`inin-ratelimit-*`, `X-RateLimit-*`, IETF's `RateLimit` and its drafts), else from what it refuses. It is followed up and
   * down, and what others use of it is left to them. `stats().quota` says what is believed.
   */
  rateLimit: RateLimit | readonly RateLimit[] | 'learn' | LearnOptions
  /** How messages are joined into requests. Default `{ mode: 'none' }`. */
  batch?: BatchOptions
  /** When a failed message is tried again, and for how long. */
  retry?: RetryOptions
  /**
   * - `'conversation'` (default): message n+1 of a conversation isn't sent before n is settled, retries included.
   * - `'none'`: messages don't wait for each other.
   */
  ordering?: 'conversation' | 'none'
  /** The limits of the outbox. */
  queue?: QueueOptions
  /** The limits of connections and requests. */
  connections?: ConnectionOptions
  /**
   * How long the id of a settled message is remembered, so that the same id is recognised as a duplicate.
   * In milliseconds, 0 to 604,800,000 (7 days). Default 86,400,000 (a day). While a message is in the outbox, its id is
   * always known.
   */
  dedupeMs?: number
}

/** A region of Genesys Cloud, by its AWS name. */
export type Region =
  | 'us-east-1' | 'us-east-2' | 'us-west-2' | 'ca-central-1' | 'sa-east-1' | 'mx-central-1'
  | 'eu-west-1' | 'eu-west-2' | 'eu-central-1' | 'eu-central-2' | 'eusc-de-east-1' | 'me-central-1'
  | 'ap-southeast-1' | 'ap-southeast-2' | 'ap-northeast-1' | 'ap-northeast-2' | 'ap-northeast-3' | 'ap-south-1'

/** OAuth client credentials: one token for all threads, renewed ahead of its expiry. */
export interface ClientCredentials {
  /** 1 to 256 visible ASCII characters. */
  clientId: string
  /** 1 to 1,024 visible ASCII characters. */
  clientSecret: string
  accessToken?: undefined
}

/** Access tokens from elsewhere. */
export interface AccessTokenCredentials {
  /**
   * A token, or a function that is called whenever one is needed: at the start, and after the API refused the last one.
   * It must give a non-empty string of visible ASCII, within a minute; if it throws or gives anything else, messages stay in the
   * outbox and `outage` is emitted, with the message of the error that it threw: what is secret doesn't belong there.
   */
  accessToken: string | (() => string | Promise<string>)
  clientId?: undefined
  clientSecret?: undefined
}

/**
 * A messaging route of the API (all are POST):
 * - `messaging`: `/api/v2/messaging/conversations/{conversationId}/messages`
 * - `messaging-array`: `/v2/conversations/messages`, which takes an array: a single message is wrapped in an array of one
 * - `open-inbound`: `/api/v2/conversations/messages/{integrationId}/inbound/open/message`
 * - `open-event`: `/api/v2/conversations/messages/{integrationId}/inbound/open/event`
 * - `open-receipt`: `/api/v2/conversations/messages/{integrationId}/inbound/open/receipt`
 * - `conversation`: `/api/v2/conversations/messages/{conversationId}/communications/{communicationId}/messages`
 * - `agentless`: `/api/v2/conversations/messages/agentless`
 *
 * Placeholders other than `conversationId` are filled from {@link Message.params}.
 */
export type RoutePreset =
  | 'messaging' | 'messaging-array' | 'open-inbound' | 'open-event' | 'open-receipt' | 'conversation' | 'agentless'

/** A route of your own. */
export interface CustomRoute {
  /**
   * The path, such as `/x/{conversationId}/y`; each placeholder is filled from the message, percent-encoded.
   * Begins with one `/`, has no query, no `.` and `..` segments. 1 to 1,024 bytes.
   */
  path: string
  /** The body's field that holds the text; {@link BatchOptions.mode} `'merge'` needs it. 1 to 128 bytes. */
  textField?: string
  /**
   * Whether the body is an array of messages; {@link BatchOptions.mode} `'array'` needs it, and `'merge'` can't be used with
   * it. A single message is wrapped in an array of one, in every mode. Default `false`.
   */
  array?: boolean
  /**
   * The longest text that merging makes, counted in {@link BatchOptions.textUnits}. A longer text of a single message is sent
   * as it is. 1 to 1,000,000. Default 2,000, which the presets have, too.
   */
  maxTextLength?: number
}

/** How a quota is learned that nobody knows. The rates have no `burst` of their own: it is all of them. */
export interface LearnOptions {
  learn: true
  /**
   * Believed until something is learned; a rate from `floor` to `ceiling`. Before the first answer a single request leaves.
   * @default { requests: 300, perMs: 60_000 }, what Genesys Cloud allows an access token
   */
  start?: RateLimit
  /**
   * Never less than this, whatever a server says (a pause that it asks for is kept all the same).
   * @default { requests: 1, perMs: 60_000 }
   */
  floor?: RateLimit
  /**
   * Never more than this *arrives* in any rolling window, whatever a server says.
   * @default { requests: 1_000, perMs: 1_000 }, five times the most that Genesys Cloud documents for any endpoint
   */
  ceiling?: RateLimit
  /**
   * Asks for the organisation's limits at the start (`GET /api/v2/organizations/limits/namespaces/platform.api`), and believes
   * them until headers or refusals say otherwise: `stats().quota.windows[].why` is `limits` until then. One request of the budget,
   * before the first message, which waits for it for at most two seconds. A token without the right, a gateway without the
   * route, no answer: `start` holds. Not asked when an earlier run, or engine, has learned something.
   * @default false
   */
  readLimits?: boolean
}

/** So many requests in any rolling window. */
export interface RateLimit {
  /** Requests that may arrive at the server in any rolling `perMs`. 1 to 1,000,000. */
  requests: number
  /** The window in milliseconds. 1 to 86,400,000 (a day). */
  perMs: number
  /** Requests that may leave at once; fewer spread them more evenly. 1 to `requests`. Default `requests`. */
  burst?: number
}

/**
 * How messages are joined into requests. Each message settles on its own, whatever travelled with it.
 *
 * A batch that is refused with 413 or 400 is halved until it passes or one message is at fault, which alone becomes a dead
 * letter: one among N costs at most 2·log2(N)+2 requests. The size that passed a 413 is remembered, and a larger one is tried
 * again later. A batch whose outcome is unknown is repeated with the same messages, the same body and the same
 * `idempotency-key` header; a message that is withdrawn or expires meanwhile stays in it. An answer of 429 takes a batch
 * apart; whatever of it is to go again may go in other company.
 */
export interface BatchOptions {
  /**
   * - `'none'` (default): one request a message.
   * - `'array'`: a JSON array of the bodies of messages with the same path, at most one of a conversation unless
   *   `arrayOrdered`. Only on a route that takes one (`messaging-array`, or `route.array`); else a {@link ConfigError}.
   *   An answer of 2xx holds for all; or it lists a status for each, as an array or as `results`, `items`, `entities`,
   *   `messages` or `responses` of an object, by `id`, `messageId` or `requestId`, else by position. A message about which
   *   such a list says nothing certain has an unknown outcome ({@link RetryOptions.ambiguous}).
   * - `'merge'`: texts of one conversation that wait join by a newline into the text field of one body. Never with other
   *   fields that differ, never with attachments (`content`, `attachments`, `mediaIds`, `messagingTemplate`). The first text
   *   of an idle conversation leaves at once. Only on a route with a text field that takes no array; else a
   *   {@link ConfigError}.
   */
  mode?: 'none' | 'array' | 'merge'
  /**
   * Messages in one request. 1 to 10,000. Default 10 with `'array'`; 1,000 with `'merge'`, where the length of the text bounds
   * a batch.
   */
  maxMessages?: number
  /**
   * Bytes of one request's body, exact, brackets and commas included. A message that exceeds it by itself rejects with
   * `MESSAGE_INVALID`, except with `'none'`. 1,024 to 16,777,216. Default 256,000.
   */
  maxBytes?: number
  /**
   * How long a message waits for others to fill an array, at most, in milliseconds; and how long, while the budget is short,
   * an array that isn't full waits for answers that are due, since more of its conversations may join it then. A `drain` or
   * `close` ends the wait; `request()` isn't held up by it. Without effect in other modes. 0 to 60,000. Default 500.
   */
  lingerMs?: number
  /**
   * The server handles an array in its order, so that it may hold several messages of one conversation. Default `false`.
   */
  arrayOrdered?: boolean
  /** What the server counts in a text: UTF-16 code units (default), Unicode code points, or bytes of UTF-8. For merging. */
  textUnits?: 'utf16' | 'codepoints' | 'bytes'
  /**
   * What a request costs of the quota:
   * - `'request'` (default): one.
   * - `'message'`: one for each message in it; a batch is then no larger than what the budget holds.
   * - `'learn'`: begins with `'request'`, and follows the count that the server tells in its headers (`inin-ratelimit-count`,
   *   or limit and remaining of the others) whenever a batch is alone on the wire between two of them.
   */
  cost?: 'request' | 'message' | 'learn'
}

/** When a failed message is tried again. An answer of 429 or 401 spends no attempt. */
export interface RetryOptions {
  /** Attempts of a message, the first included. 1 to 1,000. Default 10. */
  maxAttempts?: number
  /**
   * How long after its first attempt a message may be tried again, in milliseconds. 0 to 2,592,000,000 (30 days).
   * Default 600,000.
   */
  maxAgeMs?: number
  /**
   * What to do with a message that was sent and not answered, so that nobody knows whether it arrived:
   * - `'retry'` (default): send it again, with the same id. At least once: the server may get it twice.
   * - `'fail'`: give it up as a dead letter with `ambiguous: true`. At most once: it may not have arrived.
   */
  ambiguous?: 'retry' | 'fail'
  /**
   * A pause that is longer is told as `long` in the `throttled` event; a wait that the server asked for is kept all the
   * same. In milliseconds, 1,000 to 86,400,000. Default 180,000.
   */
  maxPauseMs?: number
}

/** The limits of the outbox. */
export interface QueueOptions {
  /** Messages. 1 to 10,000,000. Default 100,000. */
  maxMessages?: number
  /** Bytes of serialised bodies. 1,024 to 68,719,476,736. Default 268,435,456 (256 MiB). */
  maxBytes?: number
  /** A message that finds the outbox full waits for room (`'wait'`, default) or rejects with a {@link QueueFullError}. */
  whenFull?: 'wait' | 'reject'
}

/** The limits of connections and requests. */
export interface ConnectionOptions {
  /** Requests in flight, and so connections to the API host. 1 to 1,024. Default 64. */
  max?: number
  /** Time to connect, TLS included, in milliseconds. 10 to 120,000. Default 5,000. */
  connectTimeoutMs?: number
  /** Time of a request, from looking for a connection to the last byte of its answer, in ms. 10 to 600,000. Default 16,000. */
  requestTimeoutMs?: number
}

// ------------------------------------------------------------------------------------------------------ messages

/** Anything that `JSON.stringify` serialises: no function, symbol or bigint, no cycle, no lone surrogate. */
export type JsonBody = {} | null

/** One thing to deliver. A field that is wrong rejects with a {@link ConfigError} of code `MESSAGE_INVALID`. */
export interface Message {
  /** The lane in which messages keep their order. 1 to 512 UTF-8 bytes of any text; in the path it is percent-encoded. */
  conversationId: string
  /** The body of the request, serialised once, when it is handed over. At most 8,388,608 bytes of JSON. */
  body: JsonBody
  /**
   * The key by which a duplicate is recognised. 1 to 256 UTF-8 bytes. Default: a generated one.
   * A message whose id is in the outbox, or was settled within `dedupeMs`, isn't sent again: it settles with the first.
   */
  id?: string
  /** Values for the placeholders of the route's path other than `conversationId`. At most 16,384 bytes of JSON. */
  params?: Readonly<Record<string, string>>
  /** Higher goes first, among conversations; inside one, order stays. An integer from -100 to 100. Default 0. */
  priority?: number
  /**
   * Given up, with an {@link ExpiredError} and as a dead letter, unless it is sent within this time.
   * In milliseconds, above 0, at most 2,592,000,000 (30 days). Default: never.
   */
  expiresInMs?: number
  /** Not sent before this time: a Date, or epoch milliseconds. At most 30 days ahead; the past is fine. Default: at once. */
  notBefore?: Date | number
}

/** The second argument of sends. */
export interface SendOptions {
  /**
   * Withdraws the message. The promise rejects at once with `signal.reason`. A message that still waits becomes a dead
   * letter with the reason `aborted`; one whose request is on the wire is delivered all the same, which the events tell.
   */
  signal?: AbortSignal
}

/** The proof of a delivery. */
export interface Receipt {
  /** The message's id. */
  id: string
  conversationId: string
  /** The HTTP status, 200 to 299. */
  status: number
  /** The body of the answer: parsed if it is JSON, else its text; null if there is none. */
  body: any
  /** Attempts that were made; answers of 429 and 401 don't count. */
  attempts: number
  /** Messages that travelled in the same request, this one included. */
  batchSize: number
  /** Milliseconds from its submission, the waiting room included, to the start of the request that delivered it. */
  queuedMs: number
  /** `ININ-Correlation-Id` of the answer: what Genesys support asks for. */
  correlationId: string | null
  /**
   * There, and true, when a message of this id was handed over before: it was sent once, and this repeats its receipt. Of one
   * that was delivered earlier only `status` and `attempts` are remembered.
   */
  duplicate?: boolean
}

/** What `enqueue` resolves with. */
export interface Acceptance {
  /** The message's id, generated if it had none. */
  id: string
  /** The id was known already: nothing was added. */
  duplicate: boolean
}

/** Another API call. A field that is wrong rejects with a {@link ConfigError} of code `MESSAGE_INVALID`. */
export interface ApiRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS'
  /**
   * The path on the API host, percent-encoded; may have a query. Begins with one `/`, has no `.` and `..` segments
   * (encoded ones neither), no `#`. At most 8,192 characters.
   */
  path: string
  /** Added to the path, encoded. An array gives its key once for each item; undefined values are left out. */
  query?: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>
  /**
   * Further headers, at most 64, of visible ASCII, at most 8,192 characters each. Not `authorization`, `host`,
   * `content-length`, `transfer-encoding` and `connection`, which the sender sets.
   */
  headers?: Readonly<Record<string, string>>
  /**
   * A string goes as it is (`text/plain; charset=utf-8`), bytes too (`application/octet-stream`), anything else as JSON
   * (`application/json`); a `content-type` in `headers` goes before these.
   */
  body?: JsonBody
  /** Higher goes first. An integer from -100 to 100. Default 0. */
  priority?: number
  /** From looking for a connection to the last byte of the answer, in ms, 1 to 600,000. Default `connections.requestTimeoutMs`. */
  timeoutMs?: number
  /**
   * Bytes of the answer's body; a longer one is a {@link DeliveryError} of code `DELIVERY_RESPONSE_TOO_LARGE`.
   * 1 to 67,108,864. Default 8,388,608.
   */
  maxResponseBytes?: number
  /** Given up unless it is sent within this time. In milliseconds, above 0, at most 2,592,000,000. Default: never. */
  expiresInMs?: number
}

/** The answer to a {@link ApiRequest}. */
export interface ApiResponse {
  /** 200 to 299; any other final answer rejects with a {@link DeliveryError}. */
  status: number
  /** Names in lower case; several headers of one name are joined by `', '`. */
  headers: Record<string, string>
  /** Parsed if the content type says JSON, else the text; null if there is none. */
  body: any
}

/** A message that was given up, and why. Kept until it is sent again, dropped, or crowded out by newer ones. */
export interface DeadLetter extends DeadLetterEvent {
  /** What was to be sent. */
  body: any
}

/** A {@link DeadLetter} without the body, since events may end up in logs. Its `response` doesn't belong there: servers echo texts. */
export interface DeadLetterEvent {
  /** The message's id, for `redrive` and `drop`. */
  id: string
  conversationId: string
  /**
   * - `rejected`: the server refused it for good (`status`, `response`); or, without a status, it has waited in a file since the
   *   sender had another route, and this one has no path for it
   * - `exhausted`: `retry.maxAttempts` or `retry.maxAgeMs` is spent
   * - `expired`: `expiresInMs` passed before it could be sent
   * - `ambiguous`: it was sent and not answered, and `retry.ambiguous` is `'fail'`
   * - `aborted`: its signal withdrew it
   */
  reason: 'rejected' | 'exhausted' | 'expired' | 'ambiguous' | 'aborted'
  /** The HTTP status of the last attempt, if that was answered. Not known any more of an attempt in an earlier run. */
  status: number | null
  /**
   * The body of that answer, as in a receipt, cut to a bounded length. Null for `expired` and `aborted`: between attempts only the
   * status is kept.
   */
  response: any
  /** Attempts that were made. */
  attempts: number
  /** The server may have processed it all the same. */
  ambiguous: boolean
  /** When it was given up, in epoch milliseconds. */
  atMs: number
  /** Why, as a sentence, without texts and secrets. */
  message: string
}

/** Why a message is where it is. */
export interface Explanation {
  id: string
  conversationId: string
  /** `waiting-room`: not accepted yet, since the outbox is full. */
  state: 'waiting-room' | 'queued' | 'in-flight' | 'dead-letter'
  /** All that keeps it from being sent. */
  reasons: ExplanationReason[]
  /** Messages that are expected to go before it: those of its conversation, and of others as their turns come. */
  ahead: number
  /** Milliseconds until it will probably be sent; null if nobody can tell. */
  expectedInMs: number | null
  /** Attempts that were made. */
  attempts: number
}

export interface ExplanationReason {
  /**
   * - `lane`: messages of its conversation go first
   * - `budget`: the quota is spent for now
   * - `pause`: the server said 429
   * - `retry`: it failed, and waits for its next attempt
   * - `notBefore`: its time hasn't come
   * - `batch`: it waits up to `batch.lingerMs` for others to fill an array
   * - `auth`: there is no access token: it is being fetched, or the credentials were refused
   * - `outage`: too many requests failed; the circuit breaker is open
   * - `connections`: all connections are busy
   * - `capacity`: the outbox is full
   * - `store`: it is not written to the file yet, or nothing can be for now
   */
  kind:
    | 'lane' | 'budget' | 'pause' | 'retry' | 'notBefore' | 'batch' | 'auth' | 'outage' | 'connections' | 'capacity'
    | 'store'
  /** The same as a sentence. */
  detail: string
  /** When it ends, in epoch milliseconds, if that is known. */
  untilMs?: number
}

// --------------------------------------------------------------------------------------------------------- stats

/** A reading of the organisation's engine: of all senders that share it. */
export interface Stats {
  organization: string
  /** Since the engine's start. */
  counters: {
    /** Messages that entered the outbox. */
    accepted: number
    /** Messages whose id was known already. */
    duplicates: number
    /** Receipts. */
    delivered: number
    /** Dead letters made. */
    deadLetters: number
    /** Dead letters that were crowded out, oldest first, since too many were kept. */
    deadLettersDropped: number
    /** Requests sent to the API. */
    requests: number
    /** Of these, repeats after a failure. */
    retries: number
    /** Answers of 429. */
    throttled: number
    /** Tokens that were asked for. */
    tokenRequests: number
  }
  queue: {
    /** Messages and requests in the outbox. */
    messages: number
    /** Bytes of their bodies. */
    bytes: number
    /** Messages that wait for room in the outbox. */
    waiting: number
    /** Conversations with messages in the outbox. */
    conversations: number
    /** Requests under way: on the wire, or, with a store, waiting for the disk or a connection. */
    inFlight: number
    /** Dead letters that are kept. */
    deadLetters: number
  }
  /** What the server allows. `sinceMs`: epoch milliseconds. */
  quota: QuotaState
  budget: {
    /** Requests that may leave now. */
    available: number
    /** Milliseconds until the next may, 0 if one may now; null if nobody can tell. */
    nextInMs: number | null
  }
  /**
   * The time until which nothing is sent, if there is one: null when it is over, and nothing is there yet to probe with.
   * `untilMs`: epoch milliseconds; null while a probe is out.
   */
  pause: null | { reason: PauseReason; untilMs: number | null; remainingMs: number | null }
  /** What keeps everything from being sent, if something does. `sinceMs`: epoch milliseconds. */
  outage: null | { reason: 'auth' | 'breaker'; sinceMs: number }
  /** How the file store stands; null with `store: 'memory'`. */
  store: null | {
    /** Messages of an earlier run that went on in this one. */
    recovered: number
    /**
     * Messages that the file could not give back. Some are in it still, see `spillway outbox PATH check`; what a damaged file had
     * lost lies in `setAside`. What is lost of a file that is open can count twice: then, and when its turn comes.
     */
    unreadable: number
    /**
     * Where the last damaged file lies that this sender found, at its opening or since, and of which it goes on with what can be
     * read; else null.
     */
    setAside: string | null
    /** Why nothing can be written for now: new messages are refused, accepted ones wait. Null if all is well. */
    problem: null | { code: string; message: string }
  }
  /** Of delivered messages. */
  latencies: {
    /** From the submission to the start of the request that delivered. */
    queuedMs: LatencyStats
    /** From that start to its answer. */
    requestMs: LatencyStats
    /** Both. */
    totalMs: LatencyStats
  }
}

/** Quantiles in milliseconds, to two significant digits. */
export interface LatencyStats {
  p50: number
  p99: number
  max: number
  /** Values that were counted. */
  count: number
}

/** What the server allows, as far as it is known. The windows hold together. */
export interface QuotaState {
  windows: QuotaWindow[]
  /** Whether it was set, or is learned. */
  source: 'configured' | 'learned'
  /** Since when, epoch milliseconds. */
  sinceMs: number
}

/** One limit, and why it is believed in. */
export interface QuotaWindow extends RateWindow {
  /**
   * - `configured`: by `rateLimit`.
   * - `start`: by `rateLimit.start`; nothing has been learned yet.
   * - `limits`: by what the organisation's limits say (`rateLimit.readLimits`); headers and refusals overrule it.
   * - `headers`: the server's headers name it.
   * - `refusals`: no header names it; it is what was accepted when something was refused.
   */
  why: 'configured' | 'start' | 'limits' | 'headers' | 'refusals'
  /** Requests of the window that are left to us while others use the same quota; null while nobody does. */
  share: number | null
}

export interface RateWindow {
  /** Requests in any rolling `perMs`. */
  requests: number
  /** Milliseconds. */
  perMs: number
}

/** Where a pause comes from: the `Retry-After` header, the reset header, the seconds in the 429's text, or a backoff of our own. */
export type PauseReason = 'retry-after' | 'reset' | 'text' | 'backoff'

// -------------------------------------------------------------------------------------------------------- events

/** The events of a {@link Sender} with their arguments. There is no `error` event. */
export interface SenderEvents {
  /** A message was delivered. */
  delivered: [receipt: Receipt]
  /** A message was given up. */
  deadLetter: [letter: DeadLetterEvent]
  /** Nothing is sent to the organisation for a while. `untilMs`: epoch milliseconds; `long`: over `retry.maxPauseMs`. */
  throttled: [pause: { reason: PauseReason; untilMs: number; pauseMs: number; long: boolean }]
  /**
   * The pause is over: a probe went through. `pausedMs`: how long it was, and took to probe; not how long nothing was there to
   * probe with.
   */
  resumed: [pause: { pausedMs: number }]
  /** What is believed of the quota changed by more than a tenth, or for another reason. */
  quota: [quota: QuotaState]
  /**
   * An outage began (`open: true`) or ended: the credentials are refused, too many requests fail, or the store can't be written.
   * `message` says why; at its end it is empty, unless a damaged file was replaced: then it says where that was set aside.
   */
  outage: [outage: { reason: 'auth' | 'breaker' | 'store'; message: string; open: boolean }]
  /** The outbox became empty. */
  drain: []
}

// --------------------------------------------------------------------------------------------------- diagnostics

/**
 * The channels of `node:diagnostics_channel`, and what each publishes, from all senders of the thread. Ids, statuses and
 * times; never a text, a body, a query or a secret. A channel costs nothing until it is subscribed to; a subscription
 * that comes later is heard from the next call or completion of a sender on. Senders of one organisation in a thread
 * publish what happens in their engine once; each worker thread has channels of its own.
 *
 * @example
 * import diagnostics from 'node:diagnostics_channel'
 * diagnostics.subscribe('spillway:request:end', (end) => …)
 */
export interface DiagnosticsChannels {
  /** A message was handed over. `id` is null if the caller gave none. */
  'spillway:message:submitted': { organization: string; id: string | null; conversationId: string }
  /** An `enqueue` was accepted. A `send` says nothing before its end. */
  'spillway:message:accepted': { organization: string; id: string; duplicate: boolean }
  'spillway:message:delivered': { organization: string } & Omit<Receipt, 'body'>
  'spillway:message:dead-letter': { organization: string } & Omit<DeadLetterEvent, 'response' | 'message'>
  'spillway:request:end': RequestEnd
  'spillway:throttled': { organization: string; reason: PauseReason; untilMs: number; pauseMs: number; long: boolean }
  'spillway:resumed': { organization: string; pausedMs: number }
  'spillway:outage': { organization: string; reason: 'auth' | 'breaker' | 'store'; open: boolean }
}

/** A request of the engine that came to its end, whatever the end is; each attempt is one. */
export interface RequestEnd {
  organization: string
  method: string
  /** Without the query. */
  path: string
  /** How many messages it carried; 0 for a `request()`. */
  messages: number
  /** The id of the message, or of a batch's first; null for a `request()`. */
  messageId: string | null
  /** Epoch milliseconds. */
  startedAtMs: number
  tookMs: number
  /** The answer's status; null if none came. */
  status: number | null
  /** `ININ-Correlation-Id` of the answer. */
  correlationId: string | null
  /** What went wrong below HTTP. */
  problem: string | null
}

// -------------------------------------------------------------------------------------------------------- sender

/**
 * The queue in front of an organisation's API: keeps each conversation in order, and sends at the rate that the
 * organisation is allowed. Every accepted message ends as a receipt or as a dead letter.
 *
 * The event loop lives while a promise of a sender is awaited, and is free to end otherwise.
 *
 * @example
 * await using sender = await Sender.open({
 *   organization: 'acme', region: 'us-east-1', credentials: { clientId, clientSecret },
 *   route: 'messaging', store: 'memory', rateLimit: { requests: 300, perMs: 60_000 },
 * })
 * const receipt = await sender.send({ conversationId, body: { text: 'hi' } })
 */
export class Sender extends EventEmitter {
  private constructor()

  /**
   * Opens a sender, and the organisation's engine if it is the first. Rejects with a {@link ConfigError}, or with a
   * {@link StoreError} if the store's file can't be opened.
   */
  static open(options: SenderOptions): Promise<Sender>

  /**
   * Messages of an earlier run that the file store had at its opening, and that go on. Their promises are gone: their
   * ends are told by events and {@link Sender.deadLetters}. 0 with `store: 'memory'`.
   */
  readonly recovered: number

  /**
   * {@link Sender.metrics} of several senders as one exposition: expositions that are joined as texts are none. Senders
   * of one organisation share an engine, which is there once.
   */
  static metrics(senders: Iterable<Sender>): string

  /**
   * Sends a message; resolves when it is delivered.
   *
   * Rejects with {@link ConfigError} (the message is wrong), {@link QueueFullError}, {@link ExpiredError},
   * {@link DeliveryError}, {@link AuthError} (the message stays in the outbox), {@link ClosedError}, or
   * {@link StoreError} (the store can't be written: the message isn't accepted), or `signal.reason`.
   */
  send(message: Message, options?: SendOptions): Promise<Receipt>

  /**
   * Sends a message; resolves as soon as it is accepted into the outbox: with `store: 'file:…'`, when it would survive a
   * power cut. Its end is told by the events `delivered` and `deadLetter`. Rejects with {@link ConfigError},
   * {@link QueueFullError}, {@link StoreError}, {@link ClosedError}, or `signal.reason`.
   */
  enqueue(message: Message, options?: SendOptions): Promise<Acceptance>

  /**
   * Makes any other API call, inside the same budget. Rejects like {@link Sender.send}; an answer that isn't 2xx, when
   * all retries are spent or it is final, is a {@link DeliveryError} with `status` and `response`.
   */
  request(request: ApiRequest, options?: SendOptions): Promise<ApiResponse>

  /** Counters, depth, quota, budget and latencies of the organisation's engine. */
  stats(): Stats

  /**
   * {@link Sender.stats} in Prometheus' text format 0.0.4, each series with the label `organization`: serve it as
   * `text/plain; version=0.0.4; charset=utf-8`. Times are in seconds; quantiles are those since the engine's start. Of
   * `spillway_outage` there is a series for each reason of the event `outage`, `store` among them.
   */
  metrics(): string

  /** Why a message waits, and when it will probably go. Rejects with code `NOT_FOUND` for an id that isn't known. */
  explain(id: string): Promise<Explanation>

  /**
   * The dead letters that there are when the iteration begins, oldest first, read in pages. Letters may be redriven or dropped
   * meanwhile. A message that becomes one meanwhile, so also a redriven one that fails again, isn't among them: the
   * iteration ends.
   */
  deadLetters(): AsyncIterableIterator<DeadLetter>

  /**
   * Sends a dead letter again; resolves when it is accepted. With a full outbox it waits for room, or rejects with
   * {@link QueueFullError}, by `queue.whenFull`, and with that also if it alone is larger than `queue.maxBytes`, or as many wait as
   * may; it is a dead letter until there is room. Rejects with code `NOT_FOUND` for an id that isn't one, or is none any more when
   * there is room, and with a {@link ConfigError} if the route, which was another one then, has no path for it.
   */
  redrive(id: string): Promise<void>

  /** Forgets a dead letter. Rejects with code `NOT_FOUND` for an id that isn't one. */
  drop(id: string): Promise<void>

  /**
   * Resolves when everything accepted so far is settled. Rejects with code `DRAIN_TIMEOUT` after `timeoutMs`
   * (milliseconds, 0 to 2,592,000,000; default: none) and with `signal.reason` on an abort; messages stay either way.
   */
  drain(options?: { timeoutMs?: number; signal?: AbortSignal }): Promise<void>

  /**
   * Waits up to `timeoutMs` (milliseconds, 0 to 2,592,000,000; default 10,000) for what is accepted to be settled, then
   * closes. Promises that are still pending reject with {@link ClosedError}. `undelivered`: messages that are left.
   * Every call gets the same promise.
   */
  close(options?: { timeoutMs?: number }): Promise<{ undelivered: number }>

  /** The same as `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>

  on<E extends keyof SenderEvents>(event: E, listener: (...args: SenderEvents[E]) => void): this
  on(event: string | symbol, listener: (...args: any[]) => void): this
  once<E extends keyof SenderEvents>(event: E, listener: (...args: SenderEvents[E]) => void): this
  once(event: string | symbol, listener: (...args: any[]) => void): this
  off<E extends keyof SenderEvents>(event: E, listener: (...args: SenderEvents[E]) => void): this
  off(event: string | symbol, listener: (...args: any[]) => void): this
  addListener<E extends keyof SenderEvents>(event: E, listener: (...args: SenderEvents[E]) => void): this
  addListener(event: string | symbol, listener: (...args: any[]) => void): this
  removeListener<E extends keyof SenderEvents>(event: E, listener: (...args: SenderEvents[E]) => void): this
  removeListener(event: string | symbol, listener: (...args: any[]) => void): this
  prependListener<E extends keyof SenderEvents>(event: E, listener: (...args: SenderEvents[E]) => void): this
  prependListener(event: string | symbol, listener: (...args: any[]) => void): this
  prependOnceListener<E extends keyof SenderEvents>(event: E, listener: (...args: SenderEvents[E]) => void): this
  prependOnceListener(event: string | symbol, listener: (...args: any[]) => void): this
}

// -------------------------------------------------------------------------------------------------------- errors

/** The base of all errors of this package. */
export class SpillwayError extends Error {
  constructor(message: string, fields?: { code?: string; cause?: unknown })
  /**
   * Stable, for programs; messages may be reworded. Of this class itself: `NOT_FOUND`, `DRAIN_TIMEOUT`,
   * `UNSUPPORTED_PLATFORM` (the native addon can't be loaded here), `PEER_MISSING` (a package that an adapter needs isn't
   * installed), `SPILLWAY_ERROR`.
   */
  readonly code: string
  /** Of `DRAIN_TIMEOUT`: messages that were waited for, and aren't settled. */
  readonly undelivered?: number
}

/** An option, a message or an argument is not as it must be. The message says what is, what it got, and what is allowed. */
export class ConfigError extends SpillwayError {
  /** `CONFIG_INVALID`, `CONFIG_CONFLICT` (with the engine that runs already) or `MESSAGE_INVALID`. */
  readonly code: string
  /** The field, as in `retry.maxAttempts`. */
  readonly field?: string
}

/** The outbox is full, and `queue.whenFull` is `'reject'`. Code `QUEUE_FULL`. */
export class QueueFullError extends SpillwayError {}

/** `expiresInMs` passed before the message could be sent. Code `EXPIRED`. */
export class ExpiredError extends SpillwayError {
  readonly messageId: string | null
}

/** The server refused for good, all attempts are spent, or nobody knows. The message is a dead letter. */
export class DeliveryError extends SpillwayError {
  /**
   * `DELIVERY_REJECTED`, `DELIVERY_EXHAUSTED`, `DELIVERY_AMBIGUOUS`, `DELIVERY_ABORTED` or
   * `DELIVERY_RESPONSE_TOO_LARGE`.
   */
  readonly code: string
  /** As in the dead letter. */
  readonly reason: DeadLetterEvent['reason']
  /** The HTTP status of the last attempt, if that was answered. */
  readonly status: number | null
  /** The body of that answer; null after an abort. Not enumerable: it may echo the message's text, which doesn't belong in a log. */
  readonly response: any
  /** Attempts that were made. */
  readonly attempts: number
  /** The message; null for a `request()`. */
  readonly messageId: string | null
  /** The server may have processed it all the same. */
  readonly ambiguous: boolean
}

/**
 * The credentials were refused. The message stays in the outbox, and is sent once they work; a `request()` ends with this error,
 * and a later one finds out whether they work again. Code `AUTH_REJECTED`.
 */
export class AuthError extends SpillwayError {
  /** The message; null for a `request()`, and where only its file knows it. */
  readonly messageId: string | null
}

/** The sender is closed, or closing. Code `CLOSED`. */
export class ClosedError extends SpillwayError {}

/**
 * The store can't be opened, read or written; the message says what to do.
 *
 * A message that it refused was never accepted. Yet if the process ends before the store works again, the file may have it all the
 * same: a disk that can't make a write durable can't take it back either. Then the next sender sends it. Offered once more under the
 * same `id` it is known, and sent once.
 *
 * - `STORE_LOCKED`: another process has the file, and its pid is named; or its `-lock` file was removed, and another process has
 *   used it since: this sender writes and sends no more, and is to be closed and opened again
 * - `STORE_FULL`: the disk, or its share of it, is full
 * - `STORE_READ_ONLY`: the file or its directory takes no writes
 * - `STORE_MISSING`: the directory isn't there, or is no longer
 * - `STORE_CORRUPT`: the file is damaged and could not be replaced
 * - `STORE_VERSION`: a newer version of spillway wrote it; for the command line, an older one, and no sender has opened it since
 * - `STORE_MISMATCH`: it belongs to another organisation, or is no outbox; or a link, or no file, is where a companion of it belongs
 * - `STORE_FAILED`: anything else, such as an I/O error
 */
export class StoreError extends SpillwayError {}

// ----------------------------------------------------------------------------------------------------- simulator

/** The configuration of a {@link Simulator}. Everything is optional; `null` is as good as absent. */
export interface SimulatorConfig {
  /** The port. 0 (default) lets the system choose. */
  port?: number
  /** The address to listen at. Default `127.0.0.1`. */
  host?: string
  /** The seed of every random choice. 0 to 2⁵³−1. Default 1. */
  seed?: number
  /** The organisation's quota, or up to 8 that hold together. Default none. */
  quota?: SimulatorQuota | readonly SimulatorQuota[] | null
  /** The quota of each access token. Default none. */
  tokenQuota?: SimulatorQuota | readonly SimulatorQuota[] | null
  /** The headers that tell about the quota: `X-RateLimit-*` (default), `inin-ratelimit-*`, IETF's, its older ones, none. */
  headers?: 'x' | 'inin' | 'ietf' | 'ietf-legacy' | 'none' | null
  /** How `X-RateLimit-Reset` tells the time: seconds that are left (default), or since 1970. */
  resetFormat?: 'seconds' | 'unix' | null
  /** What a 429 says in `Retry-After`. Default `right`. */
  retryAfter?: 'right' | 'zero' | 'date' | 'past' | 'absurd' | 'negative' | 'garbage' | 'missing' | null
  /** Whether the text of a 429 tells the seconds too. Default: only with `retryAfter: 'right'`. */
  retryAfterText?: boolean | null
  /** Milliseconds between arrival and answer, 0 to 600,000, uniform in a range. Default 0. */
  latencyMs?: number | { min: number; max: number } | null
  /** The part of the latency before the server counts the request. Default: uniform within the latency. */
  arrivalMs?: number | { min: number; max: number } | null
  /** What goes wrong, by probability: each 0 to 1, together at most 1. */
  faults?: SimulatorFaults | null
  /** What goes wrong with the n-th API request; goes before `faults`. */
  script?: readonly { request: number; fault?: SimulatorFault; status?: number; body?: string }[] | null
  /** Closes the port, so that connects are refused; false opens the same one again. Default false. */
  refuse?: boolean | null
  /** How long an access token is accepted, in milliseconds, 1 to 172,800,000. Default 86,400,000. */
  tokenLifeMs?: number | null
  /** The only client that gets tokens. Default: every client gets one. */
  credentials?: { clientId: string; clientSecret: string } | null
  /** Whether a request without a valid token gets 401. Default true. */
  authRequired?: boolean | null
  /** How many tokens may be minted. Default: no limit. */
  tokenThrottle?: RateWindow | null
  /** What goes wrong with every token request. Default nothing. */
  tokenFault?: 'status500' | 'cut' | 'slow' | null
  /** A longer body gets 413. 1 to 67,108,864. Default 512,000. */
  maxBodyBytes?: number | null
  /** A message that contains this text gets 400. */
  poisonText?: string | null
  /** How an array of messages is answered: with one status (default), or with one for each. */
  arrayAnswer?: 'status' | 'list' | null
  /** Requests of others that spend the same quota; `burst` at once (default 1). */
  others?: { requests: number; perMs: number; burst?: number } | null
  /** Serve HTTPS with this certificate chain and key, both PEM. Default: plain HTTP. */
  tls?: { cert: string; key: string } | null
}

export interface SimulatorQuota extends RateWindow {
  /** Default `fixed-window`. */
  algorithm?: 'fixed-window' | 'sliding-log' | 'token-bucket'
}

/**
 * - `cutBefore`: the connection is cut before the request counts
 * - `cutAfter`: the request is accepted, and the answer is cut
 * - `status…`: not accepted
 * - `garbage`: accepted, and the answer isn't HTTP
 * - `slow`: the answer comes `slowMs` later
 */
export type SimulatorFault =
  | 'cutBefore' | 'cutAfter' | 'status500' | 'status502' | 'status503' | 'status504' | 'status408' | 'garbage' | 'slow'

export type SimulatorFaults = { [F in SimulatorFault]?: number | null } & {
  /** How much later a slow answer comes, in milliseconds, 0 to 600,000. Default 30,000. */
  slowMs?: number | null
}

/** What really arrived at a {@link Simulator}. */
export interface Ledger {
  /** API requests that were counted, refused ones included. */
  arrivals: number
  /** API requests that were accepted. */
  accepted: number
  /** API requests that got 429. */
  refused: number
  /** Answers by status. */
  statuses: Record<string, number>
  /** The most arrivals in any rolling `windowMs`. */
  mostInWindow: number
  /** The window of the (first) quota, in milliseconds. */
  windowMs: number
  maxInFlight: number
  maxInFlightPerConversation: number
  /** Acceptances beyond the first of an id. */
  duplicates: number
  uniqueIds: number
  /** Accepted messages whose `seq` wasn't above all that their conversation had accepted before. */
  orderViolations: number
  connectionsOpened: number
  connectionsOpenMax: number
  tokenRequests: number
  tokensIssued: number
  cutsBefore: number
  cutsAfter: number
  /** Milliseconds since the simulator's start. */
  firstArrivalMs: number | null
  /** Milliseconds since the simulator's start. */
  lastAcceptedMs: number | null
  /** How often each id was accepted; only with `ledger({ ids: true })`. */
  ids?: Record<string, number>
  /** How often each id was accepted, and its answer cut; only with `ledger({ ids: true })`. */
  cutIds?: Record<string, number>
}

/**
 * A double of the Genesys API on a local port: OAuth, quotas, 429s in all their forms, latency, faults. The server that
 * Spillway's own tests use.
 *
 * @example
 * await using simulator = await Simulator.start({ quota: { requests: 100, perMs: 1_000 }, retryAfter: 'zero' })
 * const sender = await Sender.open({ apiUrl: simulator.url, loginUrl: simulator.url, … })
 */
export class Simulator {
  private constructor()

  /** Starts one. Rejects with a {@link ConfigError} that names the field. It doesn't keep the process alive. */
  static start(config?: SimulatorConfig): Promise<Simulator>

  /** The base URL of both the API and the login host. */
  readonly url: string

  /** What has arrived so far. */
  ledger(options?: { ids?: boolean }): Ledger

  /** Changes the configuration while it runs: only the fields that are given; null gives one its default back. */
  set(config: SimulatorConfig): Promise<void>

  /** Stops it. Every call gets the same promise. */
  close(): Promise<void>

  /** The same as `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}
