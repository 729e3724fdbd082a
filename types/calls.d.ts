import type { ConfigError, DeliveryError } from './errors.js'
import type { JsonBody } from './messages.js'
import type { RetryOptions } from './options.js'

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
   * Further headers, at most 64, at most 8,192 characters each, of Latin-1 without control characters: each character is sent as
   * one byte. Not `authorization`, `host`,
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
   * Bytes of the answer's body; a longer one is a {@link DeliveryError} of code `DELIVERY_RESPONSE_TOO_LARGE`. So is one for which
   * the other answers of the process, of which 256 MiB are in memory at most, leave no room until `timeoutMs` is over.
   * 1 to 67,108,864. Default 8,388,608.
   */
  maxResponseBytes?: number
  /** Given up unless it is sent within this time. In milliseconds, above 0, at most 2,592,000,000. Default: never. */
  expiresInMs?: number
  /**
   * The longest that the whole call may take: the queue, pauses, retries and the answer. When it has passed, the request is
   * canceled, also while it is on the wire, and rejects with a {@link DeliveryError} of code `DELIVERY_TIMEOUT`, whose `ambiguous` says
   * whether the server may have processed it. A failure whose next attempt would come after it is final at once.
   * In milliseconds, above 0, at most 2,592,000,000 (30 days). Default: none.
   */
  deadlineMs?: number
  /**
   * The retries of this call; `false` makes a single attempt. They bound the wait for the end of an outage, too: see
   * {@link CallRetryOptions}. Default: the sender's {@link RetryOptions}.
   */
  retry?: false | CallRetryOptions
  /**
   * Whether the request may be repeated when its outcome is unknown: it was sent, and no answer came, or one that leaves it open, as
   * {@link RetryOptions.ambiguous} lists. `true` always repeats it, `false` never
   * does. Default: repeated with `GET`, `HEAD`, `PUT`, `DELETE` and `OPTIONS`; other methods follow
   * {@link RetryOptions.ambiguous}.
   */
  idempotent?: boolean
}

/**
 * The retries of one call, instead of the sender's {@link RetryOptions}. Answers of 429 and 401 spend no attempt here either:
 * `deadlineMs` bounds them.
 *
 * In an outage of its route or of the organization, in which nothing is sent but a probe at a time, a call waits for as long as its
 * attempts would take on average, at most `maxAgeMs`: with the defaults 40.5 s, with a single attempt not at all. If a probe is due, and
 * nothing else probes, the call is that probe. Otherwise it then rejects with a {@link DeliveryError} of code `DELIVERY_EXHAUSTED`, whose
 * `attempts` may be 0, and whose `status` and `response` are those of the latest answer in the outage, if that was one.
 */
export interface CallRetryOptions {
  /** Attempts, the first included. 1 to 1,000. Default: the sender's `retry.maxAttempts`. */
  maxAttempts?: number
  /**
   * How long after its first attempt the call may be tried again, in milliseconds. 0 to 2,592,000,000 (30 days).
   * Default: the sender's `retry.maxAgeMs`.
   */
  maxAgeMs?: number
}

/** The answer to a {@link ApiRequest}. */
export interface ApiResponse {
  /** 200 to 299; any other final answer rejects with a {@link DeliveryError}. */
  status: number
  /** The words of the status line, such as `OK`, as the server sent them. Empty when it sent none. */
  statusText: string
  /** Names in lower case; several headers of one name are joined by `', '`. Values are decoded as Latin-1, as in Node.js. */
  headers: Record<string, string>
  /** Parsed if the content type says JSON, else the text, without a byte order mark; null if there is none. */
  body: any
}
