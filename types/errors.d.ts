import type { DeadLetterEvent } from './dead-letters.js'

/**
 * The base of all errors of this package. `instanceof` also holds for errors of another copy of the package in the same
 * process.
 */
export class SpillwayError extends Error {
  constructor(message: string, fields?: { code?: string; cause?: unknown })
  /**
   * Stable, for programs; messages may be reworded. Of this class itself: `NOT_FOUND`, `DRAIN_TIMEOUT`,
   * `UNSUPPORTED_PLATFORM` (the native addon can't be loaded here), `PEER_MISSING` (a package that an adapter needs isn't
   * installed), `RESOURCES_EXHAUSTED` (the system has no more file descriptors, threads or memory), `COPY_CONFLICT` (this
   * process runs another version of the package already), `ENGINE_FAILED` (a defect interrupted the engine, and the outcome of this call is unknown; the
   * sender continues), `SPILLWAY_ERROR`.
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

/** The server refused for good, all attempts are spent, or the outcome is unknown. The message is a dead letter. */
export class DeliveryError extends SpillwayError {
  /**
   * `DELIVERY_REJECTED`, `DELIVERY_EXHAUSTED`, `DELIVERY_AMBIGUOUS`, `DELIVERY_ABORTED`; of a `request()` also
   * `DELIVERY_RESPONSE_TOO_LARGE`, `DELIVERY_TIMEOUT` (its `deadlineMs` has passed) and `DELIVERY_THROTTLED` (a limit of its route or of the
   * organization is in force for longer than `retry.maxPauseMs`, its `timeoutMs` or its `expiresInMs`: it rejects at once).
   */
  readonly code: string
  /** As in the dead letter; of a `request()` also `response-too-large`, `timeout` and `throttled`. */
  readonly reason: DeadLetterEvent['reason'] | 'response-too-large' | 'timeout' | 'throttled'
  /** With `DELIVERY_THROTTLED`: for how long the limit is in force, in milliseconds. */
  readonly retryAfterMs?: number
  /** The HTTP status of the last attempt, if that was answered; of a `request()` that an outage has ended, of the outage's latest answer. */
  readonly status: number | null
  /** The body of that answer; null after an abort. Not enumerable: it may echo the message's text, which doesn't belong in a log. */
  readonly response: any
  /** Attempts that were made. 0 for what was never sent, as for a `request()` without retries in an outage. */
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
 *   used it since: this sender writes and sends no more, its promises are rejected with this code (the other process sends the
 *   messages), and it is to be closed and opened again
 * - `STORE_FULL`: the disk, or its share of it, is full
 * - `STORE_READ_ONLY`: the file or its directory is not writable
 * - `STORE_MISSING`: the directory isn't there, or is no longer
 * - `STORE_CORRUPT`: the file is damaged and could not be replaced
 * - `STORE_VERSION`: a newer version of spillway wrote it, or a build before the first release; for the command line also an older
 *   version, and no sender has opened it since
 * - `STORE_MISMATCH`: it is no outbox, or open with another `durability`; or a link, or no file, is where a companion of it belongs
 * - `STORE_FAILED`: anything else, such as an I/O error, no file descriptors left, or a file system without locks; or the disk or
 *   file server has not answered for 3 s, which is reported through `outage` and `stats()`. Messages wait meanwhile, and new
 *   ones are accepted once it answers
 */
export class StoreError extends SpillwayError {}
