import { el, Keyed, setText, table } from './dom.mjs'

let last = 0

/** A section with a heading. */
export function panel(title, className, ...children) {
  const id = `panel-${++last}`
  return el('section', { class: `panel ${className}`, 'aria-labelledby': id }, el('h2', { id }, title), ...children)
}

/**
 * A section with a table of what there is, or a sentence that there is nothing. `cells(item)` gives texts, or functions that fill a cell
 * when the row is made.
 */
export function tablePanel({ title, className, columns, key, none, cells, fill = () => {} }) {
  const { element: grid, body, row } = table(title, columns, className)
  const empty = el('p', { class: 'empty' }, none)
  const rows = new Keyed(body, key, (item) => {
    const made = row()
    fill(made.cells, item)
    return {
      element: made.element,
      update: (next) => {
        const texts = cells(next)
        for (const [index, text] of texts.entries()) if (text !== null) setText(made.cells[index], text)
      },
    }
  })
  const element = panel(title, className, el('div', { class: 'scroll' }, grid), empty)
  return {
    element,
    update(items) {
      rows.update(items)
      grid.hidden = items.length === 0
      empty.hidden = items.length > 0
    },
  }
}
