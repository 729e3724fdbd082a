import type { AxiosAdapter, AxiosStatic } from 'axios'

import type { Sender } from '../../../index.js'
import type { AdapterCallOptions, AdapterOptions, TimeoutOptions } from '../options.js'

export interface AxiosAdapterOptions extends AdapterOptions, TimeoutOptions {
  /**
   * - `'refuse'` (default): a call to a host other than the sender's rejects, so that a mistaken address is seen. So does a call
   *   that the API redirects to another host.
   * - `'pass'`: axios' own http adapter makes the call, or the rest of it after a redirect, which gets neither the token nor other
   *   secrets. For an adapter that is the default of all axios, and for downloads.
   *
   * Calls to the sender's login host are always made by axios' own http adapter.
   */
  otherHosts?: 'refuse' | 'pass'
  /** The axios whose errors and headers are made. Default: the one that is found from this package. */
  axios?: Pick<AxiosStatic, 'AxiosError' | 'AxiosHeaders' | 'CanceledError' | 'getAdapter' | 'VERSION' | 'Axios'>
}

/** `config.spillway`: the options of one call, before those of the adapter. */
export interface AxiosCallOptions extends AdapterCallOptions, TimeoutOptions {}

/**
 * An adapter for axios 1.5 and newer: calls go through the sender, inside its budget, after its pauses, with its retries and
 * its token. All else is as axios does it: `validateStatus`, transforms, redirects, cancellation, limits, error codes. The
 * sender's error is the `cause`.
 *
 * Options that would change how the sender connects or authenticates reject with the code `ERR_NOT_SUPPORT`, and a `ConfigError` that names
 * the option as the `cause`: `auth`, the header `Authorization`, `proxy`, agents with certificates or a proxy, `socketPath`,
 * `transport`, `lookup`, `family`, `httpVersion: 2`, `insecureHTTPParser`, `maxRate`. docs/adapters.md lists every option.
 *
 * `timeout` counts from sending to the last byte, for each attempt; waiting for the budget doesn't count, see `timeoutPer` and
 * `deadlineMs`.
 *
 * @example
 * const http = axios.create({ baseURL: 'https://api.mypurecloud.com', adapter: createAdapter(sender) })
 */
export function createAdapter(sender: Sender, options?: AxiosAdapterOptions): AxiosAdapter

declare module 'axios' {
  interface AxiosRequestConfig<D = any> {
    /** Options of `spillway/axios` for this call. */
    spillway?: AxiosCallOptions
  }
}
