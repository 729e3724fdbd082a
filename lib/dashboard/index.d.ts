import type { IncomingMessage, ServerResponse } from 'node:http'

import type { DashboardContent, Sender } from '../../index.js'

/**
 * What a viewer may: nothing; look; or look and act, as far as `readOnly` is `false`. As an object also where, and who it is.
 */
export type DashboardAccess =
  | false
  | null
  | undefined
  | 'read'
  | 'act'
  | {
      may: 'read' | 'act'
      /** The organizations that they see; they learn nothing of the others. Default: all. */
      organizations?: readonly string[] | null
      /** Who it is, for the event `operator`. At most 128 characters are kept. */
      by?: string | null
    }

export interface DashboardOptions extends DashboardContent {
  /**
   * Decides for every request who sees what; may be async. Streams that are open are asked about again every 30 s. Where it throws, the
   * answer is 500, and a process warning of code `SPILLWAY_DASHBOARD` has the error's message.
   *
   * Default: requests from this machine that no proxy has passed on may act, and all others nothing.
   */
  authorize?: (request: IncomingMessage) => DashboardAccess | Promise<DashboardAccess>
  /**
   * The names at which browsers find the page, such as `'ops.example.com'`, with the port where it isn't the usual one. `localhost` and IP
   * addresses are known without. Requests for any other name are refused with 421: a name of somebody else's may resolve to
   * this machine (DNS rebinding). At most 100. Default none.
   */
  hosts?: readonly string[]
}

/** A request handler: for `http.createServer`, Express' `app.use(path, …)`, or Fastify with the raw request and response. */
export interface Dashboard {
  (request: IncomingMessage, response: ServerResponse): Promise<void>
  /** Ends its open pages, and its readings. */
  close(): void
}

/**
 * A live page of these senders: what waits and why, rates against quotas, pauses, outages, delays, dead letters. It may be mounted at any
 * path; its links are relative. Everything that it needs is in this package.
 *
 * Until it is closed it reads `stats()` of each organization once a second for its history, and up to four times a second while
 * a page is open; no more than that share of a core which docs/dashboard.md names. It keeps about 56 kB for each organization.
 *
 * `senders`: one, several, or a function that gives those of the moment. Of several senders of one organization the first open one
 * is asked.
 *
 * @example
 * import { createDashboard } from 'spillway/dashboard'
 * http.createServer(createDashboard(sender)).listen(4080, '127.0.0.1')
 */
export function createDashboard(senders: Sender | Iterable<Sender> | (() => Iterable<Sender>), options?: DashboardOptions): Dashboard
