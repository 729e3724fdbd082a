import type { RetryOptions } from './options.js'

/** A message that was given up, and why. Kept until it is sent again, dropped, or evicted by newer ones. */
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
   * - `ambiguous`: the server may have processed it (no answer, or see {@link RetryOptions.ambiguous} for the statuses), and
   *   `retry.ambiguous` is `'fail'`; or each repetition up to the last was answered
   *   409, since the server knows its idempotency key
   * - `aborted`: its signal canceled it
   * - `unreadable`: the file can't give it back. Events only: it is no dead letter that could be sent again, and what is left of it
   *   stays in the file, see `spillway outbox PATH check`. A later run tries, and reports, it again
   */
  reason: 'rejected' | 'exhausted' | 'expired' | 'ambiguous' | 'aborted' | 'unreadable'
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

/** Which dead letters `redrive` sends again: those for which everything holds that is given. */
export interface DeadLetterFilter {
  /** Given up for this reason. */
  reason?: Exclude<DeadLetterEvent['reason'], 'unreadable'>
  /** The last attempt was answered with this HTTP status. 100 to 999. */
  status?: number
  /** Given up at this time or later: a Date, or epoch milliseconds. */
  since?: Date | number
}

/** What became of the dead letters that a filter takes. */
export interface Redriven {
  /** Wait again, behind all others. */
  redriven: number
  /** Stay dead letters, since the outbox is full. */
  full: number
  /** Stay dead letters, since this sender would refuse them: its route has no path for them, or they are larger than `queue.maxBytes`. */
  unsendable: number
}
