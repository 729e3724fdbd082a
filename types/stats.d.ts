import type { BatchOptions } from './batch.js'
import type { RetryOptions } from './options.js'

/** A reading of the organization's engine: of all senders that share it. */
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
    /** Dead letters that were evicted, oldest first, because too many were kept. */
    deadLettersDropped: number
    /** Requests sent to the API. */
    requests: number
    /** Of these, repeats after a failure. */
    retries: number
    /** Answers of 429. */
    throttled: number
    /** Tokens that were requested. */
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
    /** Requests on the wire. With a store, one that waits for the disk or for a connection has not left yet and does not count. */
    inFlight: number
    /** Dead letters that are kept. */
    deadLetters: number
    /**
     * Messages that the server has refused (3xx, 403, 404, 405, 407, 415, 501, 505, a page of HTML) and that are tried again, since the
     * refusal may be everybody's: that of one or two conversations is no outage. `explain()` has the status. 0 in normal operation.
     */
    refused: number
  }
  /** What the server allows; with a list of `credentials`, all tokens together, and the organization. `sinceMs`: epoch milliseconds. */
  quota: QuotaState
  budget: {
    /** Requests that may leave now. */
    available: number
    /** Milliseconds until the next may, 0 if one may now; null if unknown. */
    nextInMs: number | null
  }
  /**
   * The time until which no message is sent, since the organization or the sender's own route pauses, if there is one, an operator's before the server's: null when it is over, and nothing is there yet to probe with.
   * `untilMs`: the end of the wait that the server asked for, in epoch milliseconds; null while a probe is out and that end has
   * passed or is unknown. `nextProbeMs`: when a request probes whether the limit is still in force, in epoch milliseconds, at the
   * latest `retry.maxPauseMs` after the last one; null while a probe is out or there is nothing to probe with.
   */
  pause: null | { reason: PauseReason; untilMs: number | null; remainingMs: number | null; nextProbeMs: number | null }
  /** All pauses that are in force, the operator's first, each with its scope. `outages` has what is shut for another reason. */
  pauses: PauseState[]
  /** What keeps messages from being sent, if something does: the first of `outages` that concerns them. */
  outage: null | {
    reason: OutageReason
    /** What went wrong, as a sentence, without secrets; null if that isn't known. */
    message: string | null
    /** Epoch milliseconds. */
    sinceMs: number
    /** When a request probes it next, or the next token is asked for, in epoch milliseconds; null while one is under way, or nothing probes. */
    nextProbeMs: number | null
    /**
     * With `refused`: the status, the error code in the body if there is one, whether the body is a page of HTML, and the
     * `ININ-Correlation-Id` of the answer that told so.
     */
    detail?: { status: number; code: string | null; html: boolean; correlationId: string | null }
  }
  /**
   * Everything that is shut because it fails, with its scope: the organization, or single routes. A route that fails holds back
   * only the requests that take it; empty when nothing fails. Up to 256 routes are told apart.
   */
  outages: OutageState[]
  /** The budget of each token, with a list of `credentials`; else null. */
  tokens: TokenState[] | null
  /** How texts merge, since the engine's start; null unless `batch.mode` is `'merge'`. */
  merging: null | {
    /** Messages that joined another one's request. */
    joined: number
    /**
     * Fields that kept a message from joining the one before it, and how often: `body.` and the path as {@link BatchOptions.ignore} takes
     * it, `params` or `headers`. Of up to 16 fields; a name that may be a text is shown as `…`.
     */
    prevented: { field: string; times: number }[]
  }
  /** How the file store stands; null with `store: 'memory'`. */
  store: null | {
    /** Messages of an earlier run that this one continues with. */
    recovered: number
    /**
     * Messages that the file could not give back. Some are in it still, see `spillway outbox PATH check`; what a damaged file had
     * lost lies in `setAside`. What is lost of a file that is open can count twice: then, and when its turn comes. Of a page that
     * could not be read, the numbers that are missing count, where few enough are missing to have been on it: at most that many were lost.
     */
    unreadable: number
    /**
     * Pages of damaged files that could not be read at all. How many messages they had is unknown, and `unreadable` is only an
     * estimate. Absent if there are none.
     */
    unreadablePages?: number
    /**
     * Where the last damaged file lies that was replaced by what could be read of it, at this sender's opening or since; else null. An
     * exchange of files that an earlier run did not live to report is reported here, too, until a sender that has reported it is closed.
     * `PATH.outdated-…` is a copy that was recovered from an older state of the file: it was not used.
     */
    setAside: string | null
    /**
     * Why the file cannot be written at the moment: new messages are refused, accepted ones wait. The reason of the last try; null as
     * soon as one succeeds.
     */
    problem: null | { code: string; message: string }
  }
  /** This host's part of a fleet that shares the budget; null without the option `budget`. */
  fleet: null | FleetStats
  /**
   * What all organizations of the process hold together, and may hold at most. Beyond that an organization holds no more than it
   * does, or than a small share if that is more: see docs/limits.md. Counted once per turn of each organization's engine.
   */
  process: ProcessHoldings & { max: ProcessHoldings }
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

/** A host's part of a fleet, in {@link Stats}. */
export interface FleetStats {
  /** Its name there, drawn at its start. */
  host: string
  /** Hosts that have a lease, this one included, by the last answer of the store. */
  hosts: number
  /** Requests of the shortest window that this host holds. */
  share: number
  /** What is due to it of these. It gives back what it holds beyond that. */
  target: number
  /** Until when its lease is in force, in epoch milliseconds; null if it has none. A host with nothing to send has none. */
  leaseUntilMs: number | null
  /**
   * Until when the store hands out nothing, in epoch milliseconds, since it is new or has forgotten who holds what: it was restarted,
   * flushed, restored or failed over. Hosts go on with what they hold. Else null.
   */
  waitsUntilMs: number | null
  /** Whether hosts have different `rateLimit`s: the lowest counts. */
  rateLimitsDiffer: boolean
  /** Whether it sends at its own rate of `whenBudgetUnreachable`. */
  usesOwnShare: boolean
  /** Renewals that were sent to the store, repetitions included. */
  renewals: number
  /** Why the store does not answer, as a sentence, without secrets; null if it does. */
  problem: string | null
}

/** What organizations hold, in {@link Stats}. */
export interface ProcessHoldings {
  /** Messages and requests in outboxes and waiting rooms. */
  messages: number
  /** Bytes of their bodies that are in memory. */
  bytes: number
  /** Dead letters that are kept. */
  deadLetters: number
  /** Bytes of their bodies and answers. */
  deadLetterBytes: number
  /** Ids of delivered messages that are remembered for `dedupeMs`. */
  ids: number
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
   * - `limits`: by what the organization's limits say (`rateLimit.readLimits`); headers and refusals overrule it.
   * - `headers`: the server's headers name it.
   * - `refusals`: no header names it; it is what was accepted when something was refused.
   */
  why: 'configured' | 'start' | 'limits' | 'headers' | 'refusals'
  /** Requests of the window that are left to us while others use the same quota; null while no one else does. */
  share: number | null
}

export interface RateWindow {
  /** Requests in any rolling `perMs`. */
  requests: number
  /** Milliseconds. */
  perMs: number
}

/** For what a pause holds. Everything outside it goes on. */
export interface PauseScope {
  /**
   * - `organization`: everything, since the limit is the token's or the organization's
   * - `token`: what carries the `token` of one of several OAuth clients; everything goes on with the others
   * - `route`: what takes this route, the limit of an endpoint
   * - `conversation`: the messages of this conversation
   * - `unknown`: not known yet, since the 429 names no limit. What was refused waits for as long as the server asks; everything else
   *   waits for 250 ms (or for as long as the server asks, up to a second), then a single request of another conversation or route
   *   finds out. Events: `resumed` with this scope comes when everything else goes on, or before the `throttled` of the organization
   */
  scope: 'organization' | 'token' | 'route' | 'conversation' | 'unknown'
  /** With `token`: the name of its client; else absent. */
  token?: string
  /** With `route`: its method and path, with ids replaced, such as `POST /api/v2/analytics/conversations/details/query`; else null. */
  route: string | null
  /** With `conversation`: which; else null. */
  conversationId: string | null
  /** The limit that was exceeded, if the 429's body named it (`limit`): its key, namespace and value; else null. */
  key: string | null
  namespace: string | null
  value: number | null
}

/** The budget of one of several tokens, in {@link Stats}. `pauses` and `outages` say what it waits for. */
export interface TokenState {
  /** The name of its client. */
  token: string
  /** What the server allows it. The windows hold together. */
  windows: QuotaWindow[]
  /** Requests that may leave with it now. */
  available: number
}

/** A pause, in {@link Stats}. Times in epoch milliseconds. */
export interface PauseState extends PauseScope {
  /**
   * With `ended` it is a conversation of which the server says that it is over: its messages take turns with those of other such
   * conversations (see {@link RetryOptions.endedConversation}), and `nextProbeMs` is when the next of them has its turn.
   */
  reason: PauseReason | 'ended'
  sinceMs: number
  /** The end of the wait that the server asked for; null while a probe is out and that end has passed or is unknown. */
  untilMs: number | null
  /** When a request probes whether it is over; null while one is out or there is nothing to probe with. */
  nextProbeMs: number | null
}

/** Where a pause comes from: the `Retry-After` header, the reset header, the seconds in the 429's text, a backoff of our own, or `Sender.pause()`. */
export type PauseReason = 'retry-after' | 'reset' | 'text' | 'backoff' | 'operator'

/**
 * Why messages can't be sent:
 * - `auth`: the credentials are refused
 * - `breaker`: the server, or the way to it, fails
 * - `budget`: the Redis that shares the budget can't be reached, and the lease is over. See `whenBudgetUnreachable`
 * - `refused`: the server refuses everybody's messages in the same way, so that they wait
 * - `token`: no access token can be had: the login host can't be reached or doesn't answer as it should, or the `accessToken`
 *   function throws or never answers. Messages wait, and a token ends it. Told after two failures, or after 15 s without an answer.
 */
export type OutageReason = 'auth' | 'breaker' | 'budget' | 'refused' | 'token'

/** An outage, in {@link Stats}. */
export interface OutageState {
  /**
   * Method and path of the route that fails, with ids replaced, such as `GET /api/v2/users/{}`; null when it is the organization:
   * the way to the host fails, several routes fail, the credentials are refused, or there is no token.
   */
  route: string | null
  /** The name of the client, where it is one of several whose credentials are refused (`auth`): everything goes on with the others. */
  token?: string
  reason: OutageReason
  /** What went wrong, as a sentence, without secrets; null if that isn't known. */
  message: string | null
  /** Epoch milliseconds. */
  sinceMs: number
  /** When a request probes it next, in epoch milliseconds; null while a probe is out or nothing has come that could probe. */
  nextProbeMs: number | null
}
