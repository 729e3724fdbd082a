import type { Sender } from './index.js'

/** What all adapters may be told. */
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
}

/** An `ApiClient` of `purecloud-platform-client-v2`, 211.0.0 or newer. Each organisation has one of its own. */
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
  /** The body as it came; undefined if there is none. */
  text: string | undefined
}

/**
 * Makes every call of the ApiClient go through the sender: inside its budget, after its pauses, with its retries and its
 * token, whatever token the ApiClient has.
 *
 * Logins, and guests of web chats, go on by the SDK's own client. A call to any other host is a `ConfigError`.
 *
 * @example
 * const client = platformClient.ApiClient.instance
 * useSpillway(client, sender)
 */
export function useSpillway(apiClient: SdkApiClient, sender: Sender, options?: AdapterOptions): SpillwayHttpClient

/**
 * The HTTP client that {@link useSpillway} sets; an instance of the AbstractHttpClient of the ApiClient's own SDK.
 *
 * An answer that isn't 2xx rejects with an error of code `HTTP_STATUS`, whose `response` is a {@link SdkResponse}: the SDK
 * makes of it what it always makes. Without an answer, the sender's error reaches the caller.
 */
export class SpillwayHttpClient {
  constructor(apiClient: SdkApiClient, sender: Sender, options?: AdapterOptions)
  /** Milliseconds from sending to the last byte of the answer, of each attempt; waiting for the budget doesn't count. */
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
  /** Sees and may change a call before it is sent. */
  setPreHook(hook: (config: any) => any): void
  /** Sees and may change a 2xx answer. */
  setPostHook(hook: (response: any) => any): void
}
