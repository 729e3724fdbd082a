import type { Sender } from '../../../index.js'
import type { AdapterCallOptions, AdapterOptions, TimeoutOptions } from '../options.js'

export type { AdapterCallOptions, AdapterOptions, TimeoutOptions }

export interface SdkOptions extends AdapterOptions, TimeoutOptions {}

/** An `ApiClient` of `purecloud-platform-client-v2`, 211.0.0 or newer. Each organization has one of its own. */
export interface SdkApiClient {
  callApi(...args: any[]): Promise<any>
  getHttpClient(): any
  setHttpClient(httpClient: any): void
}

/** An answer, as the SDK takes it from its HTTP client. */
export interface SdkResponse {
  status: number
  statusText: string
  /** Names in lower case. */
  headers: Record<string, string>
  /** Parsed if it is JSON, else the text. */
  data: any
  /** Undefined, as the SDK's own client leaves it: of a falsy `data` the SDK would give its caller the text instead. */
  text: string | undefined
}

/**
 * Makes every call of the ApiClient go through the sender: inside its budget, after its pauses, with its retries and its
 * token, whatever token the ApiClient has.
 *
 * An `Authorization` header other than the ApiClient's token, of `customHeaders` or the default headers, and a
 * `Proxy-Authorization` are a `ConfigError`: neither is replaced or left out silently. Refused credentials reject as a 401 of the API does, with `status`, `code` (`bad.credentials`) and `message`.
 *
 * Logins, and guests of web chats, still use the SDK's own client. A call to any other host is a `ConfigError`.
 *
 * @example
 * const client = platformClient.ApiClient.instance
 * useSpillway(client, sender)
 */
export function useSpillway(apiClient: SdkApiClient, sender: Sender, options?: SdkOptions): SpillwayHttpClient

/**
 * The HTTP client that {@link useSpillway} sets; an instance of the AbstractHttpClient of the ApiClient's own SDK.
 *
 * An answer that isn't 2xx rejects with an error of code `HTTP_STATUS`, whose `response` is a {@link SdkResponse}: the SDK
 * makes of it what it always makes. Without an answer, the sender's error reaches the caller.
 */
export class SpillwayHttpClient {
  constructor(apiClient: SdkApiClient, sender: Sender, options?: SdkOptions)
  /** Milliseconds from sending to the last byte of the answer, of each attempt; see {@link TimeoutOptions.timeoutPer}. */
  timeout: number
  httpsAgent: any
  setTimeout(timeout: number): void
  /**
   * For logins alone. API calls go over the sender's own connections, and take their proxy from `HTTPS_PROXY`: an agent that
   * is more than a tuning of connections is a `ConfigError`, unless such a variable is set.
   */
  setHttpsAgent(agent: any): void
  request(options: { url: string; method: string; headers?: any; params?: any; data?: any; timeout?: number }): Promise<any>
  enableHooks(): void
  /** Sees and may change a call before it is sent. Its `spillway` may hold {@link AdapterCallOptions} and `timeoutPer` for this call. */
  setPreHook(hook: (config: any) => any): void
  /** Sees and may change a 2xx answer. */
  setPostHook(hook: (response: any) => any): void
}
