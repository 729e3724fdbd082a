import type { PauseScope } from './stats.js'

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
  /** Milliseconds until it will probably be sent; null if unknown. */
  expectedInMs: number | null
  /** Attempts that were made. */
  attempts: number
}

export interface ExplanationReason {
  /**
   * - `lane`: messages of its conversation go first
   * - `budget`: the quota is spent for now
   * - `pause`: the server said 429, to the organization, to the route that messages take, or to its conversation; or an operator holds everything back; or its
   *   conversation is over, and waits for its turn
   * - `retry`: it failed, and waits for its next attempt; or it was refused with the status in `detail`, which may not be about it, and waits for others to tell
   * - `notBefore`: its time hasn't come
   * - `batch`: it waits up to `batch.lingerMs` for others to fill an array; or merging is on, nothing has ever merged, and it goes after
   *   the messages before it instead of with them: `detail` names the field that differs most often
   * - `auth`: there is no access token: it is being fetched, can't be had, or the credentials were refused; `detail` says what went wrong
   * - `outage`: too many requests of its route or of the organization failed; the circuit breaker is open
   * - `connections`: all connections are busy
   * - `capacity`: the outbox is full
   * - `store`: it is not written to the file yet, or nothing can be for now
   */
  kind: 'lane' | 'budget' | 'pause' | 'retry' | 'notBefore' | 'batch' | 'auth' | 'outage' | 'connections' | 'capacity' | 'store'
  /** The same as a sentence. */
  detail: string
  /** When it ends, in epoch milliseconds, if that is known. */
  untilMs?: number
  /** For a `pause` that the server asked for: for what it holds, and the limit that was exceeded if the server named it, as in {@link PauseScope}. */
  scope?: PauseScope['scope']
  route?: string | null
  conversationId?: string | null
  key?: string | null
  namespace?: string | null
  value?: number | null
  /** For `pause`, `outage` and `auth`: when a request probes whether it is over, or a token is asked for, in epoch milliseconds, if known. */
  nextProbeMs?: number
}
