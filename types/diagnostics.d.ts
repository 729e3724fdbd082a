import type { DeadLetterEvent } from './dead-letters.js'
import type { OperatorEvent } from './events.js'
import type { Receipt } from './messages.js'
import type { OutageReason, PauseReason, PauseScope } from './stats.js'

/**
 * The channels of `node:diagnostics_channel`, and what each publishes, from all senders of the thread. Ids, statuses and
 * times; never a text, a body, a query or a secret. A channel costs nothing until it is subscribed to; a subscription
 * that comes later is heard from the next call or completion of a sender on. Senders of one organization in a thread
 * publish what happens in their engine once; each worker thread has channels of its own.
 *
 * @example
 * import diagnostics from 'node:diagnostics_channel'
 * diagnostics.subscribe('spillway:request:end', (end) => …)
 */
export interface DiagnosticsChannels {
  /** A message was handed over. `id` is null if the caller gave none. */
  'spillway:message:submitted': { organization: string; id: string | null; conversationId: string }
  /** An `enqueue` was accepted. A `send` says nothing before its end. */
  'spillway:message:accepted': { organization: string; id: string; duplicate: boolean }
  'spillway:message:delivered': { organization: string } & Omit<Receipt, 'body'>
  'spillway:message:dead-letter': { organization: string } & Omit<DeadLetterEvent, 'response' | 'message'>
  'spillway:request:end': RequestEnd
  'spillway:throttled': PauseScope & { organization: string; reason: PauseReason; untilMs: number; pauseMs: number; long: boolean }
  'spillway:resumed': PauseScope & { organization: string; pausedMs: number }
  /** What somebody did by a dashboard, or tried to. */
  'spillway:operator': OperatorEvent
  /**
   * `message`: with the reason `token` only, why there is none; empty at its end. `token`: the name of one of several OAuth clients, whose outage
   * it is alone.
   */
  'spillway:outage': { organization: string; reason: OutageReason | 'store' | 'engine'; open: boolean; message?: string; token?: string }
}

/** A request of the engine that came to its end, whatever the end is; each attempt is one. */
export interface RequestEnd {
  organization: string
  method: string
  /** Without the query. */
  path: string
  /** How many messages it carried; 0 for a `request()`. */
  messages: number
  /** The id of the message, or of a batch's first; null for a `request()`. */
  messageId: string | null
  /** Epoch milliseconds. */
  startedAtMs: number
  tookMs: number
  /** The answer's status; null if none came. */
  status: number | null
  /** `ININ-Correlation-Id` of the answer. */
  correlationId: string | null
  /** What went wrong below HTTP. */
  problem: string | null
}
