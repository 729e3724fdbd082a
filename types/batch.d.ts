import type { ConfigError } from './errors.js'
import type { RetryOptions } from './options.js'
import type { CustomRoute } from './route.js'

/**
 * How messages are joined into requests. Each message settles on its own, whatever traveled with it.
 *
 * A batch that is refused with 413 or 400 is split in half until it passes or one message is at fault, which alone becomes a dead
 * letter: one among N costs at most 2·log2(N)+2 requests. The size that passed a 413 is remembered, and a larger one is tried
 * again later. A batch whose outcome is unknown is repeated with the same messages, the same body and the same
 * `idempotency-key` header; a message that is canceled or expires meanwhile stays in it. An answer of 429 takes a batch
 * apart; whatever of it is to go again may go with other messages.
 */
export interface BatchOptions {
  /**
   * - `'none'` (default): one request per message.
   * - `'array'`: a JSON array of the bodies of messages with the same path, at most one of a conversation unless
   *   `arrayOrdered`. Only on a route that takes one (`messaging-array`, or `route.array`); else a {@link ConfigError}.
   *   An answer of 2xx holds for all; or it lists a status for each, as an array or as `results`, `items`, `entities`,
   *   `messages` or `responses` of an object, by `id`, `messageId` or `requestId`, else by position. A message about which
   *   such a list says nothing certain has an unknown outcome ({@link RetryOptions.ambiguous}).
   * - `'merge'`: texts of one conversation that wait join by a newline into the text field of one body. Never with other
   *   fields that differ ({@link ignore} names exceptions), never with attachments (`content`, `attachments`, `mediaIds`,
   *   `messagingTemplate`), never with a blank text. The first text
   *   of an idle conversation leaves at once. Only on a route with a text field that takes no array; else a
   *   {@link ConfigError}.
   */
  mode?: 'none' | 'array' | 'merge'
  /**
   * Messages in one request. 1 to 10,000. Default 10 with `'array'`; 1,000 with `'merge'`, where the length of the text bounds
   * a batch.
   */
  maxMessages?: number
  /**
   * Bytes of one request's body, exact, brackets and commas included. A single message that exceeds it rejects with
   * `MESSAGE_INVALID`, except with `'none'`. 1,024 to 16,777,216. Default 256,000.
   */
  maxBytes?: number
  /**
   * How long a message waits for others to fill an array, at most, in milliseconds; and how long, while the budget is short,
   * an array that isn't full waits for answers that are due, since more of its conversations may join it then. A `drain` or
   * `close` ends the wait; `request()` isn't held up by it. Without effect in other modes. 0 to 60,000. Default 500.
   */
  lingerMs?: number
  /**
   * The server handles an array in its order, so that it may hold several messages of one conversation. Default `false`.
   */
  arrayOrdered?: boolean
  /**
   * Fields in which merged messages may differ, as paths through the objects of their bodies, such as `'channel.time'`. At most 32, of
   * at most 256 bytes; not the text field. Default: `['channel.time', 'channel.messageId']` on `open-inbound`, else none.
   */
  ignore?: readonly string[]
  /** Whose values the merged body has in the fields of {@link ignore}: the first message's (default), or the last one's. */
  keep?: 'first' | 'last'
  /**
   * Where the messages go, which decides how long a merged text may be and how it is counted: `'open'` and `'web'` 4,000,
   * `'facebook'` 2,000, `'instagram'` 1,000, `'sms'` 765 septets of GSM-7 or 335 units of UCS-2. Default: `'open'` with
   * `open-inbound`, `'sms'`, the shortest, with `conversation` and `agentless`; `'instagram'` with `social-media`; else it is not known, and 2,000 hold.
   */
  channel?: 'open' | 'web' | 'sms' | 'facebook' | 'instagram'
  /**
   * The longest text that merging makes, counted in {@link textUnits}. A longer text of a single message is sent as it is. 1 to
   * 1,000,000. Default: {@link CustomRoute.maxTextLength}, else by {@link channel}.
   */
  maxTextLength?: number
  /**
   * What the server counts in a text: UTF-16 code units (default), Unicode code points, bytes of UTF-8, or as SMS does (default
   * with the {@link channel} `'sms'`): septets of GSM-7, where `^{}\[~]|€` and the form feed take two. A text with a character that has no place
   * in GSM-7 is counted in UTF-16 code units, and may have 67 of them for every 153 septets of `maxTextLength`. For merging.
   */
  textUnits?: 'utf16' | 'codepoints' | 'bytes' | 'sms'
  /**
   * What a request costs of the quota:
   * - `'request'` (default): one.
   * - `'message'`: one for each message in it; a batch is then no larger than what the budget holds.
   * - `'learn'`: begins with `'request'`, and follows the count that the server tells in its headers (`inin-ratelimit-count`,
   *   or limit and remaining of the others) whenever a batch is alone on the wire between two of them.
   */
  cost?: 'request' | 'message' | 'learn'
}
