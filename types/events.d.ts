import type { DeadLetterEvent, DeadLetterFilter, Redriven } from './dead-letters.js'
import type { Receipt } from './messages.js'
import type { Sender } from './sender.js'
import type { OutageReason, PauseReason, PauseScope, QuotaState } from './stats.js'

/** The events of a {@link Sender} with their arguments. There is no `error` event. */
export interface SenderEvents {
  /** A message was delivered. */
  delivered: [receipt: Receipt]
  /** A message was given up. */
  deadLetter: [letter: DeadLetterEvent]
  /** Nothing in the `scope` is sent for a while: to the organization, with a token of several, on a route, or of a conversation. `untilMs`: epoch milliseconds; `long`: over `retry.maxPauseMs`. With the reason `operator` and without an end, both times are Infinity. */
  throttled: [pause: PauseScope & { reason: PauseReason; untilMs: number; pauseMs: number; long: boolean }]
  /**
   * The pause of the `scope` is over: a probe went through, or an operator's has ended. `pausedMs`: how long it was, and took to probe; not how long nothing was there to
   * probe with.
   */
  resumed: [pause: PauseScope & { pausedMs: number }]
  /** What is believed of the quota changed by more than a tenth, or for another reason. */
  quota: [quota: QuotaState]
  /**
   * An outage of what carries messages began (`open: true`) or ended: the credentials are refused, too many requests fail, messages
   * of several conversations in a row are refused in the same way (`refused`), no access token can be had, the store can't be written,
   * the Redis of a shared budget can't be reached (`budget`),
   * or a defect interrupted the engine, which then continues with the messages that it had. A route of
   * calls that fails without the others is in `stats().outages` only.
   * With a `token`, it is that of one of several OAuth clients (`auth` or `token`), and everything goes on with the others.
   * `message` says why; at its end it is empty, unless a damaged file was replaced: then it says where that was set aside. A file that
   * was replaced at the opening, or by a run that did not live to report it, is reported by one event with `open: false`; and so are
   * messages that the file can't give back and of which not even the id is known.
   */
  outage: [outage: { reason: OutageReason | 'store' | 'engine'; message: string; open: boolean; token?: string }]
  /** The outbox became empty. */
  drain: []
  /** Somebody did something by a dashboard of this process (`spillway/dashboard`), or tried to. */
  operator: [operation: OperatorEvent]
}

/** What an operator did by a dashboard, and what came of it. */
export interface OperatorEvent {
  organization: string
  action: 'pause' | 'resume' | 'redrive' | 'drop'
  /** Who, as `authorize` named them; null if it doesn't. */
  by: string | null
  /** When it was asked for, in epoch milliseconds. */
  atMs: number
  /** With `pause`: for how long. Absent: until it is resumed. */
  forMs?: number
  /** With `resume`: the route or conversation. Absent: the organization. */
  scope?: { route: string } | { conversationId: string } | 'organization'
  /** With `redrive` and `drop`: the one dead letter… */
  id?: string
  /** …or which of them. */
  filter?: DeadLetterFilter
  /** Whether it was done. */
  ok: boolean
  /** If it wasn't: the error's code. */
  error?: string
  /** What became of the letters that a filter took. */
  result?: Redriven | { dropped: number }
}
