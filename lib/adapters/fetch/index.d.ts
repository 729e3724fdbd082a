import type { Sender } from '../../../index.js'
import type { AdapterCallOptions, AdapterOptions } from '../options.js'

export interface FetchOptions extends AdapterOptions {
  /** What calls all other hosts. Default: the `globalThis.fetch` of the time when `createFetch` is called. */
  fetch?: typeof globalThis.fetch
}

/** `init.spillway`: the options of one call, before those of `createFetch`. */
export interface FetchCallOptions extends AdapterCallOptions {}

declare global {
  interface RequestInit {
    /** Options of `spillway/fetch` for this call. */
    spillway?: FetchCallOptions
  }
}

/**
 * A `fetch` whose calls to the organization's API go through the sender: inside its budget, after its pauses, with its
 * retries and its token. Calls to other hosts, logins among them, pass untouched. May become `globalThis.fetch`.
 *
 * - A body that is a stream is read once and kept for retries, up to `maxBodyBytes`; a longer one rejects.
 * - `redirect`: `'follow'` continues inside the budget, and to another host by the other fetch, without secrets; `'manual'`
 *   gives the redirect itself, as Node's fetch does; `'error'` rejects.
 * - `init.priority`: `'high'` is 10 and `'low'` -10 among the priorities of the sender.
 * - `init.signal` may be of any origin: a polyfill's, or another realm's. So may be a `Request`.
 * - Aborts reject with `signal.reason`; all else without an answer with a `TypeError`, whose `cause` is the sender's error.
 * - The answer is complete when the promise resolves: its body is in memory, at most `maxResponseBytes`.
 * - A body of bytes without a `content-type` gets `application/octet-stream`.
 * - `integrity`, a `dispatcher` and a header `Authorization` or `Proxy-Authorization` reject, since calls go over the sender's
 *   connections with its token. `cache` sets the same headers as Node's fetch; `credentials`, `keepalive`, `mode` and `referrer` have no effect.
 * - `init.spillway` holds options of this call. What stays different from Node's fetch is in docs/adapters.md.
 *
 * @example
 * globalThis.fetch = createFetch(sender)
 */
export function createFetch(sender: Sender, options?: FetchOptions): typeof globalThis.fetch
