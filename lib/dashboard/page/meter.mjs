import { el, setAttribute, setText } from './dom.mjs'
import { rate } from './format.mjs'

/** The rate against the quota: a bar, and both numbers. */
export function quotaMeter() {
  const bar = el('span', { class: 'bar' })
  const track = el('span', { class: 'track', 'aria-hidden': 'true' }, bar)
  const [used, of] = [el('span', { class: 'strong' }), el('span', { class: 'dim' })]
  return {
    element: el('div', { class: 'meter' }, el('span', { class: 'numbers' }, used, of), track),
    update(requests, perSecond) {
      setText(used, rate(requests ?? 0))
      setText(of, perSecond === null ? ' per s' : ` of ${rate(perSecond)} per s`)
      const share = perSecond === null || perSecond === 0 ? 0 : Math.min(1, (requests ?? 0) / perSecond)
      bar.style.inlineSize = `${Math.round(share * 100)}%`
      setAttribute(track, 'data-full', share >= 0.95 ? 'yes' : null)
    },
  }
}
