import type { MeterProvider, TracerProvider } from '@opentelemetry/api'

import type { Sender } from '../../index.js'

export interface InstrumentOptions {
  /** Where spans go. Default: the provider that is registered globally. */
  tracerProvider?: TracerProvider
  /** Where metrics go. Default: the provider that is registered globally. */
  meterProvider?: MeterProvider
}

/**
 * Spans and metrics of a sender, by OpenTelemetry's semantic conventions; gives the function that takes them off again.
 * A sender that is instrumented already stays as it is.
 *
 * - A PRODUCER span `send {route}` for each `send` (up to its receipt) and `enqueue` (up to its acceptance).
 * - Below it a CLIENT span for each HTTP request that carried the message; it is made when the request has ended. The
 *   request's `traceparent` names the PRODUCER span; a batch carries its first message's.
 * - A CLIENT span for each `request()`, its wait for the budget and its retries included, whose `traceparent` is sent.
 * - The histogram `http.client.request.duration` in seconds, of every request of the organization, and from `stats()`
 *   `spillway.queue.messages`, `.queue.bytes`, `.queue.waiting`, `.requests.in_flight`, `.requests.throttled`,
 *   `.requests.retries`, `.dead_letters`, `.budget.available`, `.pause.remaining`, `.messages.accepted`,
 *   `.messages.delivered`, `.messages.dead_letter`, and `spillway.pauses` by scope, route and limit.
 *
 * Attributes hold ids, statuses and paths without query; never texts and secrets. Several senders of one organization
 * in a thread measure it once; with worker threads, instrument the senders of one.
 *
 * @example
 * import { instrument } from 'spillway/otel'
 * instrument(sender)
 */
export function instrument(sender: Sender, options?: InstrumentOptions): () => void
