/** How an unknown quota is learned. The rates have no `burst` of their own: it is all of them. */
export interface LearnOptions {
  learn: true
  /**
   * Believed until something is learned; a rate from `floor` to `ceiling`. Before the first answer a single request leaves.
   * @default { requests: 300, perMs: 60_000 }, what Genesys Cloud allows an access token
   */
  start?: RateLimit
  /**
   * Never less than this, whatever a server says (a pause that it asks for is kept all the same).
   * @default { requests: 1, perMs: 60_000 }
   */
  floor?: RateLimit
  /**
   * Never more than this *arrives* in any rolling window, whatever a server says.
   * @default { requests: 1_000, perMs: 1_000 }, five times the most that Genesys Cloud documents for any endpoint
   */
  ceiling?: RateLimit
  /**
   * Asks for the organization's limits at the start (`GET /api/v2/organizations/limits/namespaces/platform.api`), and believes
   * them until headers or refusals say otherwise: `stats().quota.windows[].why` is `limits` until then. With client credentials the limits are those of
   * their tokens (`client.credentials.token.rate…`, else `token.rate…`), with an `accessToken` the user's (`org.app.user.rate…`, else `token.rate…`). One request of the budget,
   * before the first message, which waits for it for at most two seconds. A token without the right, a gateway without the
   * route, no answer: `start` holds. Not asked when an earlier run, or engine, has learned something.
   * @default true where `region` is given, else false
   */
  readLimits?: boolean
}

/** N requests per rolling window. */
export interface RateLimit {
  /** Requests that may arrive at the server in any rolling `perMs`. 1 to 1,000,000. */
  requests: number
  /** The window in milliseconds. 1 to 86,400,000 (a day). */
  perMs: number
  /**
   * Requests that may leave at once; fewer spread them more evenly. 1 to `requests`. Default `requests`. Of a window of 10 s or more the
   * second half is spread in any case: it is left to conversations that have sent nothing within a window, so that they needn't wait for
   * the next. Nothing is lost by that.
   */
  burst?: number
}
