import { el, Keyed, setText } from './dom.mjs'
import { ticking } from './format.mjs'

/** A list of what is the matter, with times that count up and down. `update(causes, more, now)`. */
export function causeList() {
  const list = el('ul', { class: 'causes' })
  let now = 0
  const keyed = new Keyed(
    list,
    ({ kind, text }) => `${kind} ${text}`,
    ({ kind }) => {
      const [what, when] = [el('span'), el('span', { class: 'when' })]
      return {
        element: el('li', { 'data-kind': kind }, what, when),
        update(cause) {
          setText(what, cause.text)
          setText(when, timesOf(cause, now))
        },
      }
    },
  )
  return {
    element: list,
    update(causes, more, at) {
      now = at
      keyed.update(more > 0 ? [...causes, { kind: 'more', text: `and ${more} more` }] : causes)
    },
  }
}

/** `for 12 s`, `4 s left`, `probes in 3 s`. */
export function timesOf({ kind, sinceMs, untilMs, nextProbeMs }, now) {
  if (kind === 'age') return ticking(now - sinceMs)
  const times = []
  if (untilMs) times.push(untilMs > now ? `${ticking(untilMs - now + 999)} left` : 'probing')
  else if (kind === 'operator') times.push('until resumed')
  else if (sinceMs) times.push(`for ${ticking(now - sinceMs)}`)
  if (nextProbeMs && nextProbeMs > now && nextProbeMs !== untilMs) times.push(`next probe in ${ticking(nextProbeMs - now + 999)}`)
  return times.join(', ')
}
