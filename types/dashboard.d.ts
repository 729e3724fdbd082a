/// <reference lib="esnext.disposable" />

/** What a dashboard shows and lets do. */
export interface DashboardContent {
  /**
   * Nothing can be done by the page: it only shows. `false` lets whoever may act pause and resume, and redrive and drop dead letters.
   * Each act is asked about once, and reported by the event `operator`. Default `true`.
   */
  readOnly?: boolean
  /** Dead letters are shown with their bodies and answers, which hold the texts of messages. Default `false`. */
  bodies?: boolean
  /**
   * What `spillway ramp` wrote (`ramp.json`, or `ramp.html` next to it): for all organizations, or by organization. It is read when the
   * page asks for it. Default none.
   */
  rampReport?: string | Readonly<Record<string, string>>
}

export interface ServeDashboardOptions extends DashboardContent {
  /** The port at 127.0.0.1. 0 (default) lets the system choose. */
  port?: number
}

/** A dashboard that listens at a port of this machine. */
export interface ServedDashboard {
  /** Where a browser finds it. */
  readonly url: string
  /** Ends it, and its open pages. Every call gets the same promise. */
  close(): Promise<void>
  /** The same as `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}
