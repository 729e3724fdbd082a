// What an operator may do: each act is asked about once, and reports what came of it.

import { el, setText } from './dom.mjs'
import { plural } from './format.mjs'

const byId = (id) => document.getElementById(id)

/** The right to act, and the token for it; a restart of the service makes it void. */
export async function readSession(state) {
  const answer = await fetch('session')
  if (answer.ok) state.session = await answer.json()
}

async function post(state, operation) {
  const headers = { 'content-type': 'application/json', 'x-spillway-token': state.session.token }
  const answer = await fetch('act', { method: 'POST', headers, body: JSON.stringify(operation) })
  const { result, error } = await answer.json()
  if (!answer.ok) throw Object.assign(new Error(error.message), { code: error.code })
  return result
}

async function act(state, operation) {
  try {
    return await post(state, operation)
  } catch (error) {
    if (error.code !== 'TOKEN') throw error
    await readSession(state)
    return await post(state, operation)
  }
}

/**
 * Asks, acts, and tells. `question`: `{ title, text, yes, danger, fields, operation(), done(result) }`. Resolves to whether it was done.
 */
export function ask(state, { title, text, yes, danger = false, fields = null, operation, done }) {
  const dialog = byId('ask')
  setText(byId('ask-title'), title)
  setText(byId('ask-text'), text)
  setText(byId('ask-error'), '')
  byId('ask-fields').replaceChildren(...(fields === null ? [] : [fields]))
  const button = byId('ask-yes')
  setText(button, yes)
  button.classList.toggle('danger', danger)
  return new Promise((resolve) => {
    const close = (isDone) => {
      button.onclick = null
      byId('ask-no').onclick = null
      dialog.oncancel = null
      dialog.close()
      resolve(isDone)
    }
    byId('ask-no').onclick = () => close(false)
    dialog.oncancel = () => close(false)
    button.onclick = async () => {
      button.disabled = true
      try {
        notice(done(await act(state, operation())))
        close(true)
      } catch (error) {
        setText(byId('ask-error'), error.message)
      } finally {
        button.disabled = false
      }
    }
    dialog.showModal()
  })
}

let noticeEnds = null

/** A sentence at the foot of the page, which a screen reader says. */
function notice(text) {
  setText(byId('notice'), text)
  clearTimeout(noticeEnds)
  noticeEnds = setTimeout(() => setText(byId('notice'), ''), 6_000)
}

const PAUSES = [
  ['300000', '5 minutes'],
  ['900000', '15 minutes'],
  ['3600000', '1 hour'],
  ['', 'until resumed'],
]

export function askPause(state, organization) {
  const choice = el('select', { id: 'pause-for' }, ...PAUSES.map(([value, name]) => el('option', { value }, name)))
  return ask(state, {
    title: `Pause ${organization}?`,
    text: 'Nothing leaves until the pause ends. Messages are accepted and keep their places; what is on the wire is left to its answer.',
    yes: 'Pause',
    fields: el('p', {}, el('label', { for: 'pause-for' }, 'For '), choice),
    operation: () => ({ organization, action: 'pause', ...(choice.value === '' ? {} : { forMs: Number(choice.value) }) }),
    done: () => `${organization} is paused.`,
  })
}

/** `scope` as `resume()` takes it; undefined is the organization. */
export function askResume(state, organization, scope, name = organization) {
  return ask(state, {
    title: `Resume ${name}?`,
    text: 'Ends a pause by hand, and has whatever else is shut probed at once. If the probe fails, it is shut again.',
    yes: 'Resume',
    operation: () => ({ organization, action: 'resume', ...(scope === undefined ? {} : { scope }) }),
    done: () => `${name} was told to resume.`,
  })
}

export function askRedrive(state, organization, which, name) {
  return ask(state, {
    title: `Send ${name} again?`,
    text: 'They wait again behind all others. What the server may have processed already may arrive twice.',
    yes: 'Send again',
    operation: () => ({ organization, action: 'redrive', ...which }),
    done: ({ redriven, full, unsendable }) =>
      redriven === undefined
        ? 'It waits again.'
        : `${plural(redriven, 'message')} wait again${full > 0 ? `, ${full} found no room` : ''}${unsendable > 0 ? `, ${unsendable} can't be sent` : ''}.`,
  })
}

export function askDrop(state, organization, which, name) {
  return ask(state, {
    title: `Drop ${name}?`,
    text: 'They are forgotten for good, and can never be sent again.',
    yes: 'Drop',
    danger: true,
    operation: () => ({ organization, action: 'drop', ...which }),
    done: ({ dropped }) => (dropped === undefined ? 'It was dropped.' : `${plural(dropped, 'dead letter')} dropped.`),
  })
}
