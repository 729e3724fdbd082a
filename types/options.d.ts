import type { BatchOptions } from './batch.js'
import type { AuthError, ConfigError, QueueFullError, StoreError } from './errors.js'
import type { Message } from './messages.js'
import type { LearnOptions, RateLimit } from './rate-limit.js'
import type { CustomRoute, RoutePreset } from './route.js'
import type { Sender } from './sender.js'

/** The options of {@link Sender.open}. Unknown keys and values out of range are a {@link ConfigError} that names them. */
export interface SenderOptions {
  /**
   * The organization (tenant) whose limit is shared. Senders with one key share one engine, one outbox and one budget,
   * over all worker threads of the process; their other options must be equal, else `open` rejects with a
   * {@link ConfigError} of code `CONFIG_CONFLICT`. 1 to 256 bytes.
   */
  organization: string
  /** The AWS region of the organization: decides the API and the login host. Required unless `apiUrl` is given. */
  region?: Region
  /** Base URL of the API, `http` or `https`, without query. Default: the region's `https://api.…`. */
  apiUrl?: string
  /** Base URL of the login host, whose `/oauth/token` issues tokens. Default: the region's, else that of `apiUrl`. */
  loginUrl?: string
  /**
   * How access tokens are obtained. Never shown in an error, an event or a number.
   *
   * A list has 1 to 50 OAuth clients of the organization, each of which has a token, a `rateLimit` and a pause of its own: together they
   * send so many times as much, in one queue and one order. What Genesys' terms say about that: docs/learning.md.
   */
  credentials: ClientCredentials | AccessTokenCredentials | readonly NamedClientCredentials[]
  /** Where messages go: a preset, or a path of your own. */
  route: RoutePreset | CustomRoute
  /**
   * Sent with every message, such as `{ 'genesys-app': 'acme-bridge' }`, by which Genesys attributes requests to an application. Not
   * sent with `request()` and the adapters, whose calls have headers of their own. The bounds and the refused names are those of
   * {@link Message.headers}; where both give a name, the message's value is sent. An empty `user-agent` or `accept` is left out. Senders
   * of one organization have the same headers.
   */
  headers?: Readonly<Record<string, string>>
  /**
   * Where the outbox and the budget live, and so how far they reach. Must be chosen, there is no default:
   * - `'memory'`: this process and all its worker threads; ends with the process.
   * - `'file:PATH'`: a file on this machine, and all threads of the one process that owns it; survives the process and,
   *   since every message is on disk before it is accepted, a power cut. `'file:PATH?durability=process-crash'` survives
   *   the process only, and doesn't wait for the disk. A relative path is that of the moment of opening. The directory
   *   must exist; the file and its companions (`-wal`, `-shm`, `-lock`) have mode 0600. If the path is a link, they are beside
   *   the file that it leads to; a link in their own place is refused. So are files that another user owns or that group or
   *   others may write, a file with two names (hard links) or mounted as a file, and a directory that every user may write
   *   without the sticky bit: a {@link StoreError} with code `STORE_MISMATCH`. Senders of different organizations of a process
   *   may name the same file: each has a part of its own in it, and they share its thread and its commits. See
   *   docs/durability.md.
   *   `'file:PATH?wait=10s'` waits up to that time for another process to close the file, as in a rolling restart: a whole number of
   *   `ms`, `s` or `min`, up to `10min`; by default it doesn't wait. Both options: `'file:PATH?durability=process-crash&wait=10s'`.
   * - `'redis://…'`: not available in this version; a {@link ConfigError}.
   */
  store: 'memory' | `file:${string}` | `redis://${string}` | `rediss://${string}`
  /**
   * What the organization is allowed. Several windows hold together, 1 to 8 of them.
   *
   * `'learn'`, or {@link LearnOptions}: it is unknown. The quota is learned from what the server says: its headers
   * (`inin-ratelimit-*`, `X-RateLimit-*`, IETF's `RateLimit` and its drafts), else from what it refuses. Learning follows it up and
   * down, and leaves to others what they use of it. `stats().quota` says what is believed.
   *
   * With a list of `credentials` it is what each token is allowed, and is learned for each.
   */
  rateLimit: RateLimit | readonly RateLimit[] | 'learn' | LearnOptions
  /**
   * What all tokens of a list of `credentials` are allowed together, 1 to 8 windows. Only with such a list. Default: no limit but that of each
   * token; a 429 that names a limit of the organization pauses all of them in any case.
   */
  organizationLimit?: RateLimit | readonly RateLimit[]
  /**
   * Shares the budget with every process and host that names the same organization and Redis (6.2 or newer) or Valkey: together they
   * send no more than `rateLimit`, which must be a known quota, not `'learn'`. Each holds a lease on a part of it, in proportion to
   * the conversations that wait there. Without it, every process has a budget of its own. Not with a list of `credentials`.
   * - `'redis://USER:PASSWORD@HOST:6379/0'`: one server
   * - `'redis+sentinel://HOST:26379,HOST:26379/PRIMARY'`: the primary that the Sentinels know by this name
   * - `'redis+cluster://HOST:6379,HOST:6379'`: a cluster, by some of its nodes
   *
   * With `rediss` in place of `redis`, connections are encrypted. User and password may stand in the environment variables
   * `SPILLWAY_REDIS_USERNAME` and `SPILLWAY_REDIS_PASSWORD` instead. They are never shown. See docs/fleet.md.
   */
  budget?: `redis${string}`
  /**
   * What happens when the lease is over and the Redis of `budget` can't be reached. Messages stay in the outbox either way, and an
   * outage `budget` is told.
   * - `'hold'` (default): nothing is sent until it can be reached again.
   * - `{ requests, perMs }`: this host sends at this rate of its own. The rates of all hosts together should not exceed the quota.
   */
  whenBudgetUnreachable?: 'hold' | RateLimit
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
   * How long the id of a settled message is remembered, so that the same id is recognized as a duplicate.
   * In milliseconds, 0 to 604,800,000 (7 days). Default 86,400,000 (a day). While a message is in the outbox, its id is
   * always known. With a file store the time counts as the machine's time since it was started does: a wall clock that jumps
   * forgets no id early, and after a restart of the machine ids may be remembered for longer.
   */
  dedupeMs?: number
}

/** A region of Genesys Cloud, by its AWS name. */
export type Region =
  | 'us-east-1'
  | 'us-east-2'
  | 'us-west-2'
  | 'ca-central-1'
  | 'sa-east-1'
  | 'mx-central-1'
  | 'eu-west-1'
  | 'eu-west-2'
  | 'eu-central-1'
  | 'eu-central-2'
  | 'eusc-de-east-1'
  | 'me-central-1'
  | 'ap-southeast-1'
  | 'ap-southeast-2'
  | 'ap-northeast-1'
  | 'ap-northeast-2'
  | 'ap-northeast-3'
  | 'ap-south-1'

/** OAuth client credentials: one token for all threads, renewed ahead of its expiry. */
export interface ClientCredentials {
  /** 1 to 256 visible ASCII characters. */
  clientId: string
  /** 1 to 1,024 visible ASCII characters. */
  clientSecret: string
  accessToken?: undefined
}

/** One of several OAuth clients of an organization. */
export interface NamedClientCredentials extends ClientCredentials {
  /** What events and numbers call its token: 1 to 64 bytes, another one for each. Default: its place in the list, from `'1'` on. */
  name?: string
}

/** Access tokens from elsewhere. */
export interface AccessTokenCredentials {
  /**
   * A token, or a function that is called whenever one is needed: at the start, and after the API refused the last one.
   * It must give a non-empty string of visible ASCII, within a minute. If it throws, or never answers, messages wait, it is called
   * again after a backoff of up to 10 s, and from the second time on that is an outage `token`, with the message of the error that
   * it threw: what is secret doesn't belong there. If it gives anything else, that is refused credentials: an {@link AuthError}, and
   * an outage `auth`; messages stay in the outbox.
   */
  accessToken: string | (() => string | Promise<string>)
  clientId?: undefined
  clientSecret?: undefined
}

/**
 * When a failed message is tried again. An answer of 429 or 401 spends no attempt. Ten failures in a row are an outage: then
 * messages wait and keep their places, one request at a time probes, and no failure spends an attempt until one succeeds.
 *
 * Some refusals may be everybody's: 3xx, 403, 404, 405, 407, 415, 501, 505, and a page of HTML with another 4xx status. Given to
 * messages of three conversations in a row, with the same status and error code and no success in between, they are an outage
 * `refused`: messages wait, those that were refused included, and one at a time probes. A message that is refused in this way is held
 * for up to 30 s until others tell: it ends as a dead letter when a message that left later is accepted. Where nobody tells, since no
 * other conversation has anything to send or those that have are refused as well, it is tried again after 1 s, doubling up to 2 minutes,
 * or when `Retry-After` says so, within `maxAttempts` and `maxAgeMs`: with the defaults for six minutes. `maxAttempts: 1` ends it at once.
 *
 * A 404 or 410 that says that the conversation is over is no such refusal, and ends its message at once: its error code or message
 * speaks of a conversation, or it quotes the conversation's id. On a route whose path has the id, a 404 with any error code and a 410
 * say so of a conversation that is alone. See `endedConversation`.
 */
export interface RetryOptions {
  /** Attempts of a message, the first included. 1 to 1,000. Default 10. */
  maxAttempts?: number
  /**
   * How long after its first attempt a message may be tried again, in milliseconds. Time in which a pause or an outage holds
   * messages back does not count, nor does the time between two runs with the same file. Three failures in a row are an outage where a
   * message would be given up for its age, though it never reached the server or was answered with 421, 425 or 503; not with 0.
   * 0 to 2,592,000,000 (30 days). Default 600,000.
   */
  maxAgeMs?: number
  /**
   * What to do with a message that the server may have processed: it was sent and not answered, or the answer was 408, a server
   * error other than 501, 503 and 505, or a page of HTML with a 2xx status. A status from 600 to 999 counts as a server error.
   * 421, 425 and 503 refuse a message before it is processed, so it is always sent again; after a first 421 or 425 at once, on another
   * connection.
   * - `'retry'` (default): send it again, with the same id. At least once: the server may get it twice.
   * - `'fail'`: give it up as a dead letter with `ambiguous: true`. At most once: it may not have arrived. Four such outcomes in a
   *   row are an outage, and it is probed by `GET /api/v2/date`, which is safe to repeat and needs no permission, before a message is risked:
   *   any answer but a server error, 408, 429 or a page of HTML will do. Where that is answered and the message fails all the same, a GET of
   *   the messages' own path probes from then on; where that tells nothing either, messages are risked at intervals that double from 20 s
   *   up to `maxPauseMs`. A probe counts as a request of the quota. Two messages are under way at first, and one more for each that is
   *   delivered.
   */
  ambiguous?: 'retry' | 'fail'
  /**
   * Statuses to retry in addition to those that always are (408, 421, 425, all from 500 on but 501 and 505): up to 300 of those from 300
   * to 599. 401 and 429 have rules of their own and are refused here; those that are retried anyway change nothing. Default: none.
   *
   * It holds for messages, for the items of a 207, for `request()` and for the adapters. Such an answer counts as a failure like a 500:
   * the server may have processed the request, so with `ambiguous: 'fail'` a message becomes a dead letter, a call goes by its
   * method or its `idempotent` flag, and ten in a row are an outage. An array or a merge that is answered with 400 or 413 is
   * split first, and the message at fault is retried by itself.
   */
  statuses?: readonly number[]
  /**
   * What becomes of the messages that wait in a conversation when the server says of it, with a 404 or 410, that it is over.
   * - `'each'` (default): each is tried, and is a dead letter by its own answer; but after the second such refusal in a row the conversation
   *   takes turns with all others that are over: together they get one of 20 requests of the quota, or every second while nobody else
   *   waits, and at least one per 10 s. A success ends that.
   * - `'bury'`: the messages that were accepted by then are dead letters at once, without being sent: `rejected`, with the status and the
   *   body of that answer, and `attempts: 0`. What is on the wire has its own answer, and what waits for a time of its own (`notBefore`, a
   *   retry) outside its conversation's queue is tried then. A message that is accepted later is tried.
   *
   * `redrive({ status: 404 })` sends them again. `stats().pauses` lists conversations that wait for their turn, with the reason `ended`,
   * and `resume({ scope: { conversationId } })` has one go like all others. Up to 1,024 such conversations are told apart.
   */
  endedConversation?: 'each' | 'bury'
  /**
   * How often a longer wait that the server asks for is checked: messages keep waiting, but every `maxPauseMs` a single request
   * probes whether the limit is still in force, and its success ends the pause. The `throttled` event marks such a wait as `long`.
   * A `Retry-After` date without a `Date` header next to it is believed for no longer than this. In milliseconds, 1,000 to
   * 86,400,000. Default 180,000.
   */
  maxPauseMs?: number
}

/** The limits of the outbox. */
export interface QueueOptions {
  /** Messages. 1 to 10,000,000. Default 100,000. */
  maxMessages?: number
  /** Bytes of serialized bodies. 1,024 to 68,719,476,736. Default 268,435,456 (256 MiB). */
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
