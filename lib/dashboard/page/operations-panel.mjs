import { count, moment, NONE, span } from './format.mjs'
import { tablePanel } from './panel.mjs'

/** What operators did by this page since the service started. */
export function operationsPanel(state) {
  const list = tablePanel({
    title: 'Done by operators',
    className: 'operations',
    columns: [{ name: 'When' }, { name: 'What', heads: true }, { name: 'By' }, { name: 'Outcome' }],
    key: ({ atMs, action, id }) => `${atMs} ${action} ${id}`,
    none: 'Nothing since the service started.',
    cells: (one) => [moment(one.atMs), whatText(one), one.by ?? NONE, outcomeText(one)],
  })
  return { element: list.element, update: () => list.update(state.detail?.operations ?? []) }
}

function whatText({ action, id, filter, forMs, scope }) {
  if (action === 'pause') return forMs === undefined ? 'pause' : `pause for ${span(forMs)}`
  if (action === 'resume') return `resume ${scope?.route ?? scope?.conversationId ?? ''}`.trim()
  if (id !== undefined) return `${action} ${id}`
  const parts = Object.entries(filter).map(([name, value]) => `${name} ${value}`)
  return `${action} ${parts.length === 0 ? 'all dead letters' : `dead letters with ${parts.join(', ')}`}`
}

function outcomeText({ ok, error, result }) {
  if (!ok) return error
  const numbers = Object.entries(result ?? {}).map(([name, value]) => `${count(value)} ${name}`)
  return numbers.join(', ') || 'done'
}
