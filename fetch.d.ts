import type { Sender } from './index.js'
import type { AdapterOptions } from './sdk.js'

export interface FetchOptions extends AdapterOptions {
  /** What calls all other hosts. Default: the `globalThis.fetch` of the time when `createFetch` is called. */
  fetch?: typeof globalThis.fetch
}

/**
 * A `fetch` whose calls to the organisation's API go through the sender: inside its budget, after its pauses, with its
 * retries and its token. Calls to other hosts, logins among them, pass untouched. May become `globalThis.fetch`.
 *
 * - A body that is a stream is read once and kept for retries, up to `maxBodyBytes`; a longer one rejects.
 * - `redirect`: `'follow'` goes on inside the budget, and to another host by the other fetch, without secrets; `'manual'`
 *   gives the redirect itself, as Node's fetch does; `'error'` rejects.
 * - `init.priority`: `'high'` is 10 and `'low'` -10 among the priorities of the sender.
 * - Aborts reject with `signal.reason`; all else without an answer with a `TypeError`, whose `cause` is the sender's error.
 * - The answer is complete when the promise resolves: its body is in memory, at most `maxResponseBytes`.
 * - A body of bytes without a `content-type` gets `application/octet-stream`.
 * - `integrity` rejects; `cache`, `credentials`, `keepalive`, `mode` and a `dispatcher` have no effect.
 *
 * @example
 * globalThis.fetch = createFetch(sender)
 */
export function createFetch(sender: Sender, options?: FetchOptions): typeof globalThis.fetch
