import type { AxiosAdapter, AxiosStatic } from 'axios'

import type { Sender } from './index.js'
import type { AdapterOptions } from './sdk.js'

export interface AxiosAdapterOptions extends AdapterOptions {
  /**
   * - `'refuse'` (default): a call to a host other than the sender's rejects, so that a mistaken address is seen.
   * - `'pass'`: it goes on by axios' own http adapter, untouched. For an adapter that is the default of all axios.
   *
   * Logins at the sender's login host always go on so.
   */
  otherHosts?: 'refuse' | 'pass'
  /** The axios whose errors and headers are made. Default: the one that is found from this package. */
  axios?: Pick<AxiosStatic, 'AxiosError' | 'AxiosHeaders' | 'CanceledError' | 'getAdapter' | 'VERSION' | 'Axios'>
}

/** `config.spillway`: the options of one call, before those of the adapter. */
export interface AxiosCallOptions extends AdapterOptions {}

/**
 * An adapter for axios 1.5 and newer: calls go through the sender, inside its budget, after its pauses, with its retries and
 * its token. All else is as axios does it: `validateStatus`, transforms, redirects, cancellation, limits, error codes. The
 * sender's error is the `cause`.
 *
 * `timeout` counts from sending to the last byte, for each attempt; waiting for the budget doesn't count, see `expiresInMs`.
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
