import { causeList } from './causes.mjs'
import { el, Keyed, setAttribute, setText, table } from './dom.mjs'
import { count, NONE, plural, rate, span, ticking } from './format.mjs'
import { quotaMeter } from './meter.mjs'
import { isInTrouble, LEVEL_WORDS } from './state.mjs'

const COLUMNS = [
  { name: 'Organization', heads: true },
  { name: 'State' },
  { name: 'Requests' },
  { name: 'Waiting', numeric: true },
  { name: 'Oldest', numeric: true },
  { name: 'Delay p50 / p99', numeric: true },
  { name: '429s', numeric: true },
  { name: 'Dead letters', numeric: true },
  { name: 'Store' },
]

const TILES = [
  ['organizations', 'Organizations'],
  ['trouble', 'In trouble'],
  ['waiting', 'Waiting'],
  ['rate', 'Delivered per s'],
  ['throttled', '429s in 5 min'],
  ['letters', 'Dead letters'],
]

/** All organizations, those in trouble first. */
export function listView(state) {
  const tiles = Object.fromEntries(TILES.map(([key]) => [key, el('dd')]))
  const { element: grid, body, row: makeRow } = table('Organizations', COLUMNS, 'organizations')
  const filter = el('input', { type: 'search', id: 'filter', placeholder: 'Name', oninput: () => update() })
  const only = el('input', { type: 'checkbox', id: 'only', onchange: () => update() })
  const empty = el('p', { class: 'empty' })
  const rows = new Keyed(
    body,
    ({ organization }) => organization,
    (row) => listRow(makeRow(), row, state),
  )

  const element = el(
    'div',
    { class: 'list' },
    el('h1', {}, 'Organizations'),
    el('dl', { class: 'tiles' }, ...TILES.map(([key, name]) => el('div', { 'data-tile': key }, el('dt', {}, name), tiles[key]))),
    el(
      'div',
      { class: 'tools' },
      el('label', { for: 'filter' }, 'Filter'),
      filter,
      el('span', { class: 'check' }, only, el('label', { for: 'only' }, 'Only in trouble')),
    ),
    grid,
    empty,
  )

  function update() {
    const all = [...state.rows.values()]
    const troubled = all.filter(isInTrouble).length
    const sum = (of) => all.reduce((total, row) => total + (of(row) ?? 0), 0)
    setText(tiles.organizations, count(all.length))
    setText(tiles.trouble, count(troubled))
    setAttribute(tiles.trouble.parentElement, 'data-alert', troubled > 0 ? 'yes' : null)
    setText(tiles.waiting, count(sum(({ queue }) => queue.messages + queue.waiting)))
    setText(tiles.rate, rate(sum(({ delivered }) => delivered)))
    setText(tiles.throttled, count(sum(({ throttledLately }) => throttledLately)))
    setText(tiles.letters, count(sum(({ queue }) => queue.deadLetters)))
    const shown = state.sorted(filter.value, only.checked)
    rows.update(shown)
    setText(empty, shown.length > 0 ? '' : all.length === 0 ? 'No sender is open.' : 'No organization fits.')
    document.title = troubled > 0 ? `(${troubled}) Spillway` : 'Spillway'
  }

  return { element, update, end() {} }
}

function listRow({ element, cells }, { organization }, state) {
  const [name, level, requests, waiting, oldest, delay, throttled, letters, store] = cells
  const badge = el('span', { class: 'badge' })
  const causes = causeList()
  const meter = quotaMeter()
  const [number, byReason] = [el('span'), el('span', { class: 'dim small' })]
  name.append(el('a', { href: `#/organization/${encodeURIComponent(organization)}` }, organization))
  level.append(badge, causes.element)
  requests.append(meter.element)
  letters.append(number, byReason)
  return {
    element,
    update(row) {
      setAttribute(element, 'data-level', row.level)
      setText(badge, LEVEL_WORDS[row.level])
      causes.update(row.causes, row.more, state.now())
      meter.update(row.rate, row.quota.perSecond)
      setText(waiting, count(row.queue.messages + row.queue.waiting))
      setText(oldest, row.oldestMs === null ? NONE : ticking(state.now() - row.oldestMs))
      setText(delay, row.delay.count === 0 ? NONE : `${span(row.delay.p50)} / ${span(row.delay.p99)}`)
      setText(throttled, count(row.throttledLately))
      setText(number, count(row.queue.deadLetters))
      setText(byReason, reasonsText(row.letters))
      setText(store, storeText(row))
    },
  }
}

/** `3 rejected, 1 expired`. */
export function reasonsText(letters) {
  const some = Object.entries(letters ?? {}).filter(([, times]) => times > 0)
  return some.map(([reason, times]) => `${count(times)} ${reason}`).join(', ')
}

export function storeText({ store, fleet }) {
  const kind = store === null ? 'memory' : store.problem === null ? 'file' : `file: ${store.problem.code}`
  return fleet === null ? kind : `${kind}, ${plural(fleet.hosts, 'host')}`
}
