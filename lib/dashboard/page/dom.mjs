// Elements without markup: texts of strangers are only ever set as texts.

/** An element with attributes, and children that are elements or texts. `on…` are listeners. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children.filter((child) => child !== null && child !== undefined))
  return element
}

/** Sets a text only where it has changed, so that a page that stands still costs nothing and can be selected from. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text
}

export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name)
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value)
}

/**
 * Keeps the children of a parent in step with `items`: `make(item)` gives `{ element, update(item) }` for a new key. What has the focus
 * keeps it.
 */
export class Keyed {
  #parent
  #key
  #make
  #parts = new Map()

  constructor(parent, key, make) {
    this.#parent = parent
    this.#key = key
    this.#make = make
  }

  update(items) {
    const keys = new Set(items.map(this.#key))
    for (const [key, { element }] of this.#parts) {
      if (keys.has(key)) continue
      element.remove()
      this.#parts.delete(key)
    }
    const focused = document.activeElement
    items.forEach((item, index) => {
      const key = this.#key(item)
      if (!this.#parts.has(key)) this.#parts.set(key, this.#make(item))
      const { element, update } = this.#parts.get(key)
      update(item)
      if (this.#parent.children[index] !== element) this.#parent.insertBefore(element, this.#parent.children[index] ?? null)
    })
    if (document.activeElement !== focused && this.#parent.contains(focused)) focused.focus({ preventScroll: true })
  }
}

/** A table with a caption for those who can't see its heading. Each cell carries its column's name, which a narrow page shows. */
export function table(caption, columns, className) {
  const body = el('tbody', { role: 'rowgroup' })
  const heads = columns.map(({ name, numeric }) => el('th', { scope: 'col', role: 'columnheader', class: numeric ? 'number' : null }, name))
  const element = el(
    'table',
    { role: 'table', class: className },
    el('caption', { class: 'unseen' }, caption),
    el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, ...heads)),
    body,
  )
  const row = () => {
    const cells = columns.map(({ name, numeric, heads: isHead }) =>
      isHead
        ? el('th', { scope: 'row', role: 'rowheader', 'data-label': name })
        : el('td', { role: 'cell', 'data-label': name, class: numeric ? 'number' : null }),
    )
    return { element: el('tr', { role: 'row' }, ...cells), cells }
  }
  return { element, body, row }
}
