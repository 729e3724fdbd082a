/// <reference lib="esnext.disposable" />

import type { ConfigError } from './errors.js'
import type { RateWindow } from './stats.js'

/** The configuration of a {@link Simulator}. Everything is optional; `null` means the same as absent. */
export interface SimulatorConfig {
  /** The port. 0 (default) lets the system choose. */
  port?: number
  /** The address to listen at. Default `127.0.0.1`. */
  host?: string
  /** The seed of every random choice. 0 to 2⁵³−1. Default 1. */
  seed?: number
  /** The organization's quota, or up to 8 that hold together. Default none. */
  quota?: SimulatorQuota | readonly SimulatorQuota[] | null
  /** The quota of each access token. Default none. */
  tokenQuota?: SimulatorQuota | readonly SimulatorQuota[] | null
  /**
   * Whose answers they are: a gateway's (default), or those of Genesys Cloud since November 2021: no quota headers by default, and the
   * body of a 429 names the limit of a token as `limit: { key, namespace, value }`.
   */
  answerStyle?: 'gateway' | 'genesys' | null
  /** The headers that tell about the quota: `X-RateLimit-*` (default), `inin-ratelimit-*`, IETF's, its older ones, none (the default with `answerStyle: 'genesys'`). */
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
  script?: readonly SimulatorScriptLine[] | null
  /** Routes with limits or answers of their own, at most 100. The first one that fits a request is its route. Default none. */
  routes?: readonly SimulatorRoute[] | null
  /**
   * Times in which the server can't be reached, or something else answers in its place; at most 100, and of several at once the first
   * one counts. A new list counts its times from the `set()` that gave it. Default none.
   */
  outages?: readonly SimulatorOutage[] | null
  /** Closes the port, so that connects are refused; false opens the same one again. Default false. */
  refuse?: boolean | null
  /** How long an access token is accepted, in milliseconds, 1 to 172,800,000. Default 86,400,000. */
  tokenLifeMs?: number | null
  /** The only client that gets tokens. Default: every client gets one. */
  credentials?: { clientId: string; clientSecret: string } | null
  /** The only clients that get tokens, and whose tokens are accepted, besides that of `credentials`. At most 100. Default: every client. */
  clients?: readonly { clientId: string; clientSecret: string }[] | null
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
  /** Default `fixed-window`, whose windows are aligned to the server's start; those of `opened-window` open with their first request. */
  algorithm?: 'fixed-window' | 'opened-window' | 'sliding-log' | 'token-bucket'
  /** How the body of a 429 and the limits API name this limit. Default not at all. */
  limitKey?: string
  /** The namespace of `limitKey`. Default `platform.api`. */
  namespace?: string
}

/** An answer in place of the usual one. */
export interface SimulatorAnswer {
  /** 200 to 599. */
  status?: number
  /** Sent besides the usual headers, or in place of those of the same name; at most 1,000. */
  headers?: Record<string, string | null>
  body?: string
  /**
   * Whether the request takes effect, although it is answered so. Needs a `status`. Default: only with a status below 300. A request
   * that would be refused anyway (no token, no quota left, a bad body) is refused as usual.
   */
  accepted?: boolean
}

export interface SimulatorScriptLine extends SimulatorAnswer {
  /** Which API request since the start this is about, from 1. */
  request: number
  /** As if chance had chosen it. */
  fault?: SimulatorFault
}

/** `status`, `headers`, `body` and `accepted` are for each request of the route that neither `script` nor `faults` decide on. */
export interface SimulatorRoute extends SimulatorAnswer {
  /** A path in which `*` or `{name}` stands for one segment, and a last `**` for any rest: `/api/v2/users/{id}`, `/api/v2/**`. */
  path: string
  /** Default any. */
  method?: string
  /** The route's own limit, or up to 8, besides those of organization and token. A request that one of them refuses spends none. */
  quota?: SimulatorQuota | readonly SimulatorQuota[]
  /** Whether all requests of the route share `quota` (default), or each path, thus each conversation named in it, has its own. */
  quotaPer?: 'route' | 'path'
  /** The name of the route's limit, for quotas that have none themselves. */
  limitKey?: string
  /** The namespace of `limitKey`. Default `platform.api`. */
  namespace?: string
}

/**
 * - `refused`: the port is closed, for API and login alike; open connections end with their current request
 * - `reset`: the connection of each request is reset
 * - `tls`: TLS handshakes fail, for API and login alike; only where `tls` is set
 * - `status`: an error as the API words it, 503 by default
 * - `html`: a page of HTML: with status 200 (default) one that tells of maintenance, otherwise that of a load balancer
 * - `hang`: no answer comes
 *
 * Names that can't be resolved are not among them: give the sender a host under `.invalid` for that.
 */
export interface SimulatorOutage extends SimulatorAnswer {
  kind: 'refused' | 'reset' | 'tls' | 'status' | 'html' | 'hang'
  /** Milliseconds after the list was set, 0 (default) to a week. */
  fromMs?: number
  /** How long it lasts, 1 ms to a week. Default until the list changes. */
  forMs?: number
  /** What it meets: the API (default), requests for tokens, or both. Not with `refused` and `tls`. */
  target?: 'api' | 'login' | 'both'
  /** Patterns of paths, as in {@link SimulatorRoute}: it meets no other requests to the API. Default all. Not with `refused` and `tls`. */
  paths?: readonly string[]
}

/**
 * - `cutBefore`: the connection is cut before the request counts
 * - `cutAfter`: the request is accepted, and the answer is cut
 * - `status…`: not accepted
 * - `status…After`: accepted, and answered with an error all the same
 * - `garbage`: accepted, and the answer isn't HTTP
 * - `slow`: the answer comes `slowMs` later
 */
export type SimulatorFault =
  | 'cutBefore'
  | 'cutAfter'
  | 'status500'
  | 'status502'
  | 'status503'
  | 'status504'
  | 'status408'
  | 'garbage'
  | 'slow'
  | 'status500After'
  | 'status502After'
  | 'status503After'
  | 'status504After'
  | 'status408After'

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
  /** With `tokenQuota`: what arrived with the tokens of each OAuth client, by its id, and the most of it in any rolling window of the first one. */
  clients?: Record<string, { arrivals: number; mostInWindow: number }>
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
  /** API requests that were accepted, and answered with an error. */
  acceptedThenFailed: number
  /** Requests, for tokens too, that met an outage. */
  outageRequests: number
  /** Milliseconds since the simulator's start. */
  firstArrivalMs: number | null
  /** Milliseconds since the simulator's start. */
  lastAcceptedMs: number | null
  /** How often each id was accepted; only with `ledger({ ids: true })`. */
  ids?: Record<string, number>
  /** How often each id was accepted, and its answer cut; only with `ledger({ ids: true })`. */
  cutIds?: Record<string, number>
  /** How often each id was accepted, and answered with an error; only with `ledger({ ids: true })`. */
  failedIds?: Record<string, number>
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

  /**
   * Starts one. Rejects with a {@link ConfigError} that names the field. It runs until `close()`, or until the thread that
   * started it ends, whether or not the program keeps the object. It doesn't keep the process alive.
   */
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
