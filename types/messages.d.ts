import type { ConfigError, ExpiredError } from './errors.js'
import type { SenderOptions } from './options.js'

/** Anything that `JSON.stringify` serializes: no function, symbol or bigint, no cycle, no lone surrogate. */
export type JsonBody = {} | null

/** One thing to deliver. A field that is wrong rejects with a {@link ConfigError} of code `MESSAGE_INVALID`. */
export interface Message {
  /** The lane in which messages keep their order. 1 to 512 UTF-8 bytes of any text; in the path it is percent-encoded. */
  conversationId: string
  /** The body of the request, serialized once, when it is handed over. At most 8,388,608 bytes of JSON. */
  body: JsonBody
  /**
   * The key by which a duplicate is recognized. 1 to 256 UTF-8 bytes. Default: a generated one.
   * A message whose id is in the outbox, or was settled within `dedupeMs`, isn't sent again: it settles with the first.
   */
  id?: string
  /** Values for the placeholders of the route's path other than `conversationId`. At most 16,384 bytes of JSON. */
  params?: Readonly<Record<string, string>>
  /**
   * Headers of its own, beside those of {@link SenderOptions.headers}, which they overrule. At most 32, with 8,192 bytes of names and
   * values together; values are Latin-1. Names are those of HTTP in any case. Refused are the names that Spillway or HTTP owns:
   * `accept-encoding`, `authorization`, `connection`, `content-encoding`, `content-length`, `content-type`, `expect`, `host`,
   * `idempotency-key`, `keep-alive`, `proxy-authorization`, `proxy-connection`, `te`, `traceparent`, `trailer`, `transfer-encoding`
   * and `upgrade`. Messages with different headers never travel in one request. A file store keeps them with the message; no error,
   * event or number shows them.
   */
  headers?: Readonly<Record<string, string>>
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
   * Cancels the message. The promise rejects at once with `signal.reason`. A message that still waits becomes a dead
   * letter with the reason `aborted`; one whose request is on the wire is still delivered, and the events report it.
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
  /** Messages that traveled in the same request, this one included. */
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
