import { askPause, askResume } from './acts.mjs'
import { causeList } from './causes.mjs'
import { hourPlots } from './charts.mjs'
import { el, setAttribute, setText } from './dom.mjs'
import { factsPanel } from './facts-panel.mjs'
import { count, NONE, rate, span, ticking } from './format.mjs'
import { lettersPanel } from './letters-panel.mjs'
import { operationsPanel } from './operations-panel.mjs'
import { rampPanel } from './ramp-panel.mjs'
import { shutPanel } from './shut-panel.mjs'
import { LEVEL_WORDS } from './state.mjs'
import { waitingPanel, wirePanel } from './waiting-panel.mjs'

const TILES = [
  ['rate', 'Requests per s'],
  ['budget', 'Budget left'],
  ['waiting', 'Waiting'],
  ['oldest', 'Oldest waits'],
  ['wire', 'On the wire'],
  ['delay', 'Delay p50 / p99'],
  ['throttled', '429s in 5 min'],
  ['letters', 'Dead letters'],
]

/** One organization in detail. */
export function organizationView(state, organization) {
  const badge = el('span', { class: 'badge' })
  const causes = causeList()
  const pause = el('button', { type: 'button', onclick: () => askPause(state, organization) }, 'Pause…')
  const resume = el('button', { type: 'button', onclick: () => askResume(state, organization) }, 'Resume…')
  const buttons = el('div', { class: 'buttons' }, pause, resume)
  const tiles = Object.fromEntries(TILES.map(([key]) => [key, el('dd')]))
  const plots = hourPlots()
  const panels = [
    shutPanel(state, organization),
    waitingPanel(state),
    wirePanel(state),
    operationsPanel(state),
    lettersPanel(state, organization),
    factsPanel(state),
    rampPanel(organization),
  ]
  const gone = el('p', { class: 'empty' })
  const body = el(
    'div',
    {},
    el('dl', { class: 'tiles' }, ...TILES.map(([key, name]) => el('div', { 'data-tile': key }, el('dt', {}, name), tiles[key]))),
    plots.element,
    el('div', { class: 'panels' }, ...panels.map(({ element }) => element)),
  )
  const element = el(
    'div',
    { class: 'organization' },
    el('p', { class: 'back' }, el('a', { href: '#/' }, '← All organizations')),
    el('div', { class: 'heading' }, el('h1', {}, organization), badge, buttons),
    causes.element,
    gone,
    body,
  )

  function update() {
    const row = state.rows.get(organization)
    document.title = `${organization} – Spillway`
    body.hidden = buttons.hidden = row === undefined
    setText(gone, row === undefined ? 'There is no such organization, or it has not been read yet.' : '')
    if (row === undefined) return
    const now = state.now()
    setAttribute(element, 'data-level', row.level)
    setText(badge, LEVEL_WORDS[row.level])
    causes.update(row.causes, row.more, now)
    buttons.hidden = !state.mayActOn(organization) || row.level === 'closed'
    setText(tiles.rate, row.quota.perSecond === null ? rate(row.rate) : `${rate(row.rate)} of ${rate(row.quota.perSecond)}`)
    setText(tiles.budget, budgetText(row, now))
    setText(tiles.waiting, count(row.queue.messages + row.queue.waiting))
    setText(tiles.oldest, row.oldestMs === null ? NONE : ticking(now - row.oldestMs))
    setText(tiles.wire, count(row.queue.inFlight))
    setText(tiles.delay, row.delay.count === 0 ? NONE : `${span(row.delay.p50)} / ${span(row.delay.p99)}`)
    setText(tiles.throttled, count(row.throttledLately))
    setText(tiles.letters, count(row.queue.deadLetters))
    if (state.history !== null) plots.update(state.history)
    for (const panel of panels) panel.update(row)
  }

  return { element, update, end: () => plots.end() }
}

function budgetText({ available, nextAtMs }, now) {
  return available === 0 && nextAtMs !== null && nextAtMs > now ? `0, next in ${span(nextAtMs - now)}` : count(available)
}
