import type { BatchOptions } from './batch.js'
import type { Message } from './messages.js'

/**
 * A messaging route of the API (all are POST):
 * - `messaging`: `/api/v2/messaging/conversations/{conversationId}/messages`
 * - `messaging-array`: `/v2/conversations/messages`, which takes an array: a single message is wrapped in an array of one
 * - `open-inbound`: `/api/v2/conversations/messages/{integrationId}/inbound/open/message`
 * - `open-event`: `/api/v2/conversations/messages/{integrationId}/inbound/open/event`
 * - `open-receipt`: `/api/v2/conversations/messages/{integrationId}/inbound/open/receipt`
 * - `open-response`: `/api/v2/conversations/messages/{integrationId}/inbound/open/structured/response`
 * - `conversation`: `/api/v2/conversations/messages/{conversationId}/communications/{communicationId}/messages`
 * - `typing`: `/api/v2/conversations/messages/{conversationId}/communications/{communicationId}/typing`
 * - `social-media`: `/api/v2/conversations/messages/{conversationId}/communications/{communicationId}/socialmedia/messages`
 * - `internal`: `/api/v2/conversations/{conversationId}/communications/{communicationId}/internalmessages`
 * - `agentless`: `/api/v2/conversations/messages/agentless`
 *
 * Placeholders other than `conversationId` are filled from {@link Message.params}.
 */
export type RoutePreset =
  | 'messaging'
  | 'messaging-array'
  | 'open-inbound'
  | 'open-event'
  | 'open-receipt'
  | 'open-response'
  | 'conversation'
  | 'typing'
  | 'social-media'
  | 'internal'
  | 'agentless'

/** A route of your own. */
export interface CustomRoute {
  /**
   * The path, such as `/x/{conversationId}/y`; each placeholder is filled from the message, percent-encoded.
   * Begins with one `/`, has no query, no `.` and `..` segments. 1 to 1,024 bytes.
   */
  path: string
  /** The body's field that holds the text; {@link BatchOptions.mode} `'merge'` needs it. 1 to 128 bytes. */
  textField?: string
  /**
   * Whether the body is an array of messages; {@link BatchOptions.mode} `'array'` needs it, and `'merge'` can't be used with
   * it. A single message is wrapped in an array of one, in every mode. Default `false`.
   */
  array?: boolean
  /**
   * The longest text that merging makes, counted in {@link BatchOptions.textUnits}. A longer text of a single message is sent
   * as it is. 1 to 1,000,000. {@link BatchOptions.maxTextLength} overrules it. Default: by {@link BatchOptions.channel}.
   */
  maxTextLength?: number
}
