import { askResume } from './acts.mjs'
import { timesOf } from './causes.mjs'
import { el } from './dom.mjs'
import { moment } from './format.mjs'
import { tablePanel } from './panel.mjs'

const COLUMNS = [{ name: 'What' }, { name: 'Scope' }, { name: 'Why' }, { name: 'Since' }, { name: 'Ends' }, { name: 'Act' }]

/** Pauses and outages in force, each with its scope. */
export function shutPanel(state, organization) {
  const list = tablePanel({
    title: 'Pauses and outages',
    className: 'shut',
    columns: COLUMNS,
    // The right to act is known a moment after the first rows.
    key: ({ what, scope, reason }) => `${what} ${scope} ${reason} ${state.mayActOn(organization)}`,
    none: 'Nothing is shut.',
    cells: (one) => [one.what, one.scope, one.why, moment(one.sinceMs), timesOf(one, state.now()), null],
    fill(cells, one) {
      const act = el('button', { type: 'button', onclick: () => askResume(state, organization, one.resume, one.scope) }, 'Resume…')
      if (state.mayActOn(organization) && one.resume !== null) cells[5].append(act)
    },
  })
  return {
    element: list.element,
    update() {
      const { pauses, outages } = state.detail ?? { pauses: [], outages: [] }
      list.update([...outages.map(outageRow), ...pauses.map(pauseRow)])
    },
  }
}

function outageRow({ route, token, reason, message, sinceMs, nextProbeMs }) {
  const resume = route === null ? undefined : { route }
  return {
    what: 'outage',
    kind: 'outage',
    scope: route ?? clientText(token) ?? 'organization',
    reason,
    why: message ?? reason,
    sinceMs,
    nextProbeMs,
    resume,
  }
}

/** One of several OAuth clients, by its name. */
const clientText = (token) => (token === undefined ? null : `client ${token}`)

function pauseRow(pause) {
  const { scope, token, route, conversationId, namespace, key, value, reason, sinceMs, untilMs, nextProbeMs } = pause
  const limit = key === null ? '' : ` (${[namespace, key].filter(Boolean).join('/')}${value === null ? '' : ` = ${value}`})`
  const resume = { route: { route }, conversation: { conversationId } }[scope]
  return {
    what: reason === 'operator' ? 'pause by hand' : reason === 'ended' ? 'conversation is over' : 'pause after 429',
    kind: reason === 'operator' ? 'operator' : 'pause',
    scope: route ?? conversationId ?? clientText(token) ?? scope,
    reason,
    why: `${reason}${limit}`,
    sinceMs,
    untilMs,
    nextProbeMs,
    resume,
  }
}
