import { count, NONE, span, ticking } from './format.mjs'
import { tablePanel } from './panel.mjs'

/** The conversations whose first message waits longest, and why it does. */
export function waitingPanel(state) {
  const list = tablePanel({
    title: 'Waiting longest',
    className: 'waiting',
    columns: [
      { name: 'Conversation', heads: true },
      { name: 'Messages', numeric: true },
      { name: 'Waits for', numeric: true },
      { name: 'Why' },
      { name: 'Leaves in', numeric: true },
    ],
    key: ({ conversationId, id, route, number }) => `${conversationId} ${id} ${route} ${number}`,
    none: 'No message waits.',
    cells: ({ conversationId, route, messages, sinceMs, reasons, expectedInMs, state: where }) => [
      conversationId ?? route ?? NONE,
      count(messages),
      sinceMs === null ? 'in the file' : ticking(state.now() - sinceMs),
      where === 'in-flight' ? 'on the wire' : reasons.map(({ detail }) => detail).join('; ') || NONE,
      expectedInMs === null ? NONE : span(expectedInMs),
    ],
  })
  return { element: list.element, update: () => list.update(state.detail?.waiting ?? []) }
}

/** The requests that have left and have no answer yet, the oldest first. */
export function wirePanel(state) {
  const list = tablePanel({
    title: 'On the wire',
    className: 'wire',
    columns: [
      { name: 'Request', heads: true },
      { name: 'Conversation' },
      { name: 'Messages', numeric: true },
      { name: 'Attempt', numeric: true },
      { name: 'For', numeric: true },
    ],
    key: ({ number }) => number,
    none: 'Nothing is on the wire.',
    cells: ({ route, conversationId, messages, attempt, sinceMs }) => [
      route,
      conversationId ?? NONE,
      count(messages),
      count(attempt),
      sinceMs === null ? 'about to leave' : span(Math.max(0, state.now() - sinceMs)),
    ],
  })
  return { element: list.element, update: () => list.update(state.detail?.requests ?? []) }
}
