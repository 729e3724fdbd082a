import { askDrop, askRedrive } from './acts.mjs'
import { el, Keyed, setText, table } from './dom.mjs'
import { count, moment, plural } from './format.mjs'
import { panel } from './panel.mjs'

const REASONS = ['rejected', 'exhausted', 'expired', 'ambiguous', 'aborted']
/** As many as the service gives at once. */
const PAGE = 20
const COLUMNS = [
  { name: 'Message', heads: true },
  { name: 'Conversation' },
  { name: 'Reason' },
  { name: 'Status', numeric: true },
  { name: 'Attempts', numeric: true },
  { name: 'Given up' },
  { name: 'Why' },
  { name: 'Act' },
]

/** Dead letters by reason, and what may be done with them. They are fetched when something about them has changed. */
export function lettersPanel(state, organization) {
  let reason = ''
  let skip = 0
  let known = null
  const { element: grid, body, row } = table('Dead letters', COLUMNS, 'letters')
  const rows = new Keyed(
    body,
    ({ id }) => id,
    (letter) => letterRow(row(), letter),
  )
  const choice = el('select', { id: 'reason', onchange: choose }, el('option', { value: '' }, 'all reasons'))
  for (const name of REASONS) choice.append(el('option', { value: name }, name))
  const redriveAll = el('button', { type: 'button', onclick: () => all(askRedrive) }, 'Send all again…')
  const dropAll = el('button', { type: 'button', class: 'danger', onclick: () => all(askDrop) }, 'Drop all…')
  const earlier = el('button', { type: 'button', onclick: () => turn(-PAGE) }, 'Older')
  const later = el('button', { type: 'button', onclick: () => turn(PAGE) }, 'Newer')
  const tools = el('div', { class: 'tools' }, el('label', { for: 'reason' }, 'Show'), choice, redriveAll, dropAll)
  const pages = el('div', { class: 'buttons' }, earlier, later)
  const empty = el('p', { class: 'empty' })
  const element = panel('Dead letters', 'wide', tools, el('div', { class: 'scroll' }, grid), empty, pages)

  function choose() {
    reason = choice.value
    skip = 0
    read()
  }

  function turn(by) {
    skip = Math.max(0, skip + by)
    read()
  }

  async function all(act) {
    const filter = reason === '' ? {} : { reason }
    await act(state, organization, { filter }, reason === '' ? 'all dead letters' : `all dead letters with the reason ${reason}`)
    read()
  }

  async function read() {
    const query = new URLSearchParams({ organization, skip: String(skip), ...(reason === '' ? {} : { reason }) })
    const answer = await fetch(`letters?${query}`)
    if (!answer.ok) return
    const { letters, more } = await answer.json()
    rows.update(letters)
    grid.hidden = letters.length === 0
    setText(empty, letters.length > 0 ? '' : reason === '' ? 'There are none.' : 'There are none with this reason.')
    earlier.hidden = skip === 0
    later.hidden = !more
  }

  function letterRow({ element: line, cells }, letter) {
    const texts = [letter.id, letter.conversationId, letter.reason, letter.status ?? '–', count(letter.attempts), moment(letter.atMs)]
    texts.forEach((text, index) => cells[index].append(String(text)))
    cells[6].append(letter.message, letter.ambiguous ? ' (the server may have processed it)' : '')
    if ('body' in letter)
      cells[6].append(el('pre', { tabindex: '0' }, JSON.stringify({ body: letter.body, response: letter.response }, null, 1)))
    if (state.mayActOn(organization)) {
      const one = async (act) => {
        await act(state, organization, { id: letter.id }, `message ${letter.id}`)
        read()
      }
      cells[7].append(
        el('button', { type: 'button', 'aria-label': `Send again: ${letter.id}`, onclick: () => one(askRedrive) }, 'Send again…'),
        el('button', { type: 'button', class: 'danger', 'aria-label': `Drop ${letter.id}`, onclick: () => one(askDrop) }, 'Drop…'),
      )
    }
    return { element: line, update() {} }
  }

  return {
    element,
    update({ queue, counters, letters }) {
      redriveAll.hidden = dropAll.hidden = !state.mayActOn(organization) || queue.deadLetters === 0
      for (const option of choice.options) {
        const number = option.value === '' ? queue.deadLetters : (letters?.[option.value] ?? 0)
        setText(option, option.value === '' ? `all ${plural(number, 'letter')}` : `${option.value} (${count(number)})`)
      }
      // The rights are there a moment after the rows.
      const now = `${queue.deadLetters} ${counters.deadLetters} ${state.mayActOn(organization)}`
      if (now === known) return
      if (known !== null && known.endsWith('false') !== now.endsWith('false')) rows.update([])
      known = now
      read()
    },
  }
}
