/// <reference lib="esnext.disposable" />
/// <reference types="node" />

import { EventEmitter } from 'node:events'

import type { ApiRequest, ApiResponse } from './calls.js'
import type { ServeDashboardOptions, ServedDashboard } from './dashboard.js'
import type { DeadLetter, DeadLetterFilter, Redriven } from './dead-letters.js'
import type { AuthError, ClosedError, ConfigError, DeliveryError, ExpiredError, QueueFullError, StoreError } from './errors.js'
import type { SenderEvents } from './events.js'
import type { Explanation } from './explanation.js'
import type { Acceptance, Message, Receipt, SendOptions } from './messages.js'
import type { SenderOptions } from './options.js'
import type { Stats } from './stats.js'

/**
 * The queue in front of an organization's API: keeps each conversation in order, and sends at the rate that the
 * organization is allowed. Every accepted message ends as a receipt or as a dead letter.
 *
 * The event loop lives while a promise of a sender is awaited, and is free to end otherwise.
 *
 * @example
 * await using sender = await Sender.open({
 *   organization: 'acme', region: 'us-east-1', credentials: { clientId, clientSecret },
 *   route: 'messaging', store: 'memory', rateLimit: { requests: 300, perMs: 60_000 },
 * })
 * const receipt = await sender.send({ conversationId, body: { text: 'hi' } })
 */
export class Sender extends EventEmitter {
  private constructor()

  /**
   * Opens a sender, and the organization's engine if it is the first. Rejects with a {@link ConfigError}, with a
   * {@link StoreError} if the store's file can't be opened, or with code `RESOURCES_EXHAUSTED` if the system has no more file
   * descriptors, threads or memory for it: the same call works once there are.
   *
   * Several copies of the package in one process share one engine per organization if they are of one version. The second
   * version is refused with code `COPY_CONFLICT`.
   *
   * TLS trusts the roots of the system, those of Node.js, and the file that `NODE_EXTRA_CA_CERTS` names. They are read once per
   * process. One that can't be read is a process warning of code `SPILLWAY_CA_CERTS`.
   */
  static open(options: SenderOptions): Promise<Sender>

  /**
   * Messages of an earlier run that the file store had when it was opened, and that are still to be sent. Their promises are gone: their
   * outcomes are reported through events and {@link Sender.deadLetters}. 0 with `store: 'memory'`.
   */
  readonly recovered: number

  /**
   * {@link Sender.metrics} of several senders as one exposition: expositions that are joined as texts are none. Senders
   * of one organization share an engine, which is there once.
   */
  static metrics(senders: Iterable<Sender>): string

  /**
   * Sends a message; resolves when it is delivered.
   *
   * Through a pause or an outage it waits, for ever if that never ends: give the message `expiresInMs`, or a `signal`, where that
   * is too long.
   *
   * Rejects with {@link ConfigError} (the message is wrong), {@link QueueFullError}, {@link ExpiredError},
   * {@link DeliveryError}, {@link AuthError} (the message stays in the outbox), {@link ClosedError}, or
   * {@link StoreError} (the store can't be written: the message isn't accepted), or `signal.reason`.
   */
  send(message: Message, options?: SendOptions): Promise<Receipt>

  /**
   * Sends a message; resolves as soon as it is accepted into the outbox: with `store: 'file:…'`, when it would survive a
   * power cut. Its outcome is reported through the events `delivered` and `deadLetter`. Rejects with {@link ConfigError},
   * {@link QueueFullError}, {@link StoreError}, {@link ClosedError}, or `signal.reason`.
   */
  enqueue(message: Message, options?: SendOptions): Promise<Acceptance>

  /**
   * Makes any other API call, inside the same budget. Rejects like {@link Sender.send}; an answer that isn't 2xx, when
   * all retries are spent or it is final, is a {@link DeliveryError} with `status` and `response`.
   */
  request(request: ApiRequest, options?: SendOptions): Promise<ApiResponse>

  /** Counters, depth, quota, budget and latencies of the organization's engine. */
  stats(): Stats

  /**
   * {@link Sender.stats} in Prometheus' text format 0.0.4, each series with the label `organization`: serve it as
   * `text/plain; version=0.0.4; charset=utf-8`. Times are in seconds; quantiles are those since the engine's start. Of
   * `spillway_outage` there is a series for each reason of the event `outage`, `store` among them.
   */
  metrics(): string

  /** Why a message waits, and when it will probably go. Rejects with code `NOT_FOUND` for an id that isn't known. */
  explain(id: string): Promise<Explanation>

  /**
   * The dead letters that there are when the iteration begins, oldest first, read in pages. Letters may be redriven or dropped
   * meanwhile. A message that becomes one meanwhile, so also a redriven one that fails again, isn't among them: the
   * iteration ends.
   */
  deadLetters(): AsyncIterableIterator<DeadLetter>

  /**
   * Sends a dead letter again; resolves when it is accepted. With a full outbox it waits for room, or rejects with
   * {@link QueueFullError}, by `queue.whenFull`, and with that also if it alone is larger than `queue.maxBytes`, or as many wait as
   * may; it is a dead letter until there is room. Rejects with code `NOT_FOUND` for an id that isn't one, or is none any more when
   * there is room, and with a {@link ConfigError} if the route, which was another one then, has no path for it.
   */
  redrive(id: string): Promise<void>

  /**
   * Sends all dead letters again that the filter takes, oldest first; `{}` takes all that there are at the call. Resolves when each is
   * accepted or stays a letter, with how many did which. None waits for room: with a full outbox the rest stay dead letters, and the same
   * call takes them when there is room. Rejects with a {@link StoreError} if the store can't be written: then those that are left stay
   * dead letters.
   */
  redrive(filter: DeadLetterFilter): Promise<Redriven>

  /** Forgets a dead letter. Rejects with code `NOT_FOUND` for an id that isn't one. */
  drop(id: string): Promise<void>

  /**
   * Holds everything back, for an operator: from all senders of the organization no message, call or request of their own leaves, whatever
   * the server would take; resolves when that is in force. What is on the wire is left to its answer. Messages are accepted as ever, keep
   * their places, spend no attempt, and don't age (`retry.maxAgeMs`); their `expiresInMs`, the `deadlineMs` of calls and signals count
   * on. `drain()` waits, and `close()` for as long as its `timeoutMs`. It is told by `throttled` with the reason `operator`, and by
   * `stats().pauses` and `explain()`.
   *
   * It ends with `forMs` (milliseconds, above 0, at most 2,592,000,000, 30 days), with {@link Sender.resume}, or, with
   * `store: 'memory'`, with the organization's last sender. With a file store it is in the file, and in force for the next sender, too.
   * Another call of `pause()` sets the end anew; without `forMs` there is none.
   */
  pause(options?: { scope?: 'organization'; forMs?: number }): Promise<void>

  /**
   * Ends the operator's pause, and has whatever else is shut probed at once: a pause that the server asked for, an outage, refused
   * credentials. If the probe fails, it is shut again. What waits for its next attempt, because of `Retry-After` or a backoff, waits no
   * longer than that. `scope`: the organization (default), one route by its name in
   * `stats().outages` or `stats().pauses`, such as `{ route: 'GET /api/v2/users/{}' }`, or one conversation. Resolves also if nothing is shut.
   */
  resume(options?: { scope?: 'organization' | { route: string } | { conversationId: string } }): Promise<void>

  /**
   * Serves a live page of this sender's organization at `http://127.0.0.1:PORT/`, for this machine alone: `createDashboard()` of
   * `spillway/dashboard` serves several senders, or others than this machine. It ends with the sender, and keeps neither it nor the
   * process alive. Rejects with a {@link ConfigError} if it can't listen.
   */
  serveDashboard(options?: ServeDashboardOptions): Promise<ServedDashboard>

  /**
   * Resolves when everything accepted so far is settled. Rejects with code `DRAIN_TIMEOUT` after `timeoutMs`
   * (milliseconds, 0 to 2,592,000,000; default: none) and with `signal.reason` on an abort; messages stay either way.
   */
  drain(options?: { timeoutMs?: number; signal?: AbortSignal }): Promise<void>

  /**
   * Waits up to `timeoutMs` (milliseconds, 0 to 2,592,000,000; default 10,000) for what is accepted to be settled, then
   * closes. Promises that are still pending reject with {@link ClosedError}. `undelivered`: messages that are left. With a file store
   * whose disk doesn't answer, closing takes up to 10 seconds more.
   * Every call gets the same promise.
   */
  close(options?: { timeoutMs?: number }): Promise<{ undelivered: number }>

  /** The same as `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>

  /**
   * Listens to an event. The listener runs in the async context (`AsyncLocalStorage`) of its registration, as does one of the
   * other methods that register. Subscribers of the diagnostics channels run in the context in which the package was
   * loaded, and the `accessToken` function in that of `Sender.open`.
   */
  on<E extends keyof SenderEvents>(event: E, listener: (...args: SenderEvents[E]) => void): this
  on(event: string | symbol, listener: (...args: any[]) => void): this
  once<E extends keyof SenderEvents>(event: E, listener: (...args: SenderEvents[E]) => void): this
  once(event: string | symbol, listener: (...args: any[]) => void): this
  off<E extends keyof SenderEvents>(event: E, listener: (...args: SenderEvents[E]) => void): this
  off(event: string | symbol, listener: (...args: any[]) => void): this
  addListener<E extends keyof SenderEvents>(event: E, listener: (...args: SenderEvents[E]) => void): this
  addListener(event: string | symbol, listener: (...args: any[]) => void): this
  removeListener<E extends keyof SenderEvents>(event: E, listener: (...args: SenderEvents[E]) => void): this
  removeListener(event: string | symbol, listener: (...args: any[]) => void): this
  prependListener<E extends keyof SenderEvents>(event: E, listener: (...args: SenderEvents[E]) => void): this
  prependListener(event: string | symbol, listener: (...args: any[]) => void): this
  prependOnceListener<E extends keyof SenderEvents>(event: E, listener: (...args: SenderEvents[E]) => void): this
  prependOnceListener(event: string | symbol, listener: (...args: any[]) => void): this
}
