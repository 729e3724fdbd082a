import type { CallRetryOptions } from '../../index.js'

/** The options that all adapters share. Each holds for every call of the adapter. */
export interface AdapterOptions {
  /** Of all calls: higher goes first, before messages of lower priority, too. An integer from -100 to 100. Default 0. */
  priority?: number
  /** A call is given up unless it is sent within this time. In milliseconds, above 0, at most 30 days. Default: never. */
  expiresInMs?: number
  /**
   * Bytes of a request's body. It is kept whole, streams included, to be sent again after a failure. 1 to 268,435,456.
   * Default 16,777,216.
   */
  maxBodyBytes?: number
  /** Bytes of an answer's body, decompressed. 1 to 268,435,456. Default 67,108,864. */
  maxResponseBytes?: number
  /**
   * The retries of a call. `false` makes a single attempt, so that its answer, a 500 for example, reaches the caller at once.
   * Answers of 429 and 401 spend no attempt. They bound the wait for the end of an outage, too: see `CallRetryOptions`.
   * Default: the sender's `retry`.
   */
  retry?: false | CallRetryOptions
  /**
   * The longest that a whole call may take: its body, the queue, pauses, retries, redirects and the answer. When it has
   * passed, the call rejects; the error, or its `cause`, is a `DeliveryError` of code `DELIVERY_TIMEOUT`. In milliseconds, above 0, at most
   * 2,592,000,000 (30 days). Default: none.
   */
  deadlineMs?: number
}

/** The options of an adapter whose client has a timeout of its own. */
export interface TimeoutOptions {
  /**
   * What the client's own timeout bounds:
   * - `'attempt'` (default): each attempt, from sending to the last byte of the answer. Waiting for the budget doesn't count.
   * - `'call'`: the whole call, as `deadlineMs` does. The earlier of both counts.
   */
  timeoutPer?: 'attempt' | 'call'
}

/** The options of one call, which go before those of the adapter. */
export interface AdapterCallOptions extends AdapterOptions {
  /**
   * Whether the request may be repeated when its outcome is unknown. `true` always repeats it, `false` never does. Default:
   * repeated with `GET`, `HEAD`, `PUT`, `DELETE` and `OPTIONS`; other methods follow the sender's `retry.ambiguous`.
   */
  idempotent?: boolean
}
