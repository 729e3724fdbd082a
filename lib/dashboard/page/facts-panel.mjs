import { el, Keyed, setText } from './dom.mjs'
import { bytes, count, moment, NONE, plural, quota, span } from './format.mjs'
import { panel } from './panel.mjs'

/** What stands behind the numbers: quota, counters, delays, store, fleet, merging. */
export function factsPanel(state) {
  const list = el('dl', { class: 'facts' })
  const facts = new Keyed(
    list,
    ([name]) => name,
    ([name]) => {
      const text = el('dd')
      return { element: el('div', {}, el('dt', {}, name), text), update: ([, value]) => setText(text, value) }
    },
  )
  return {
    element: panel('Quota, counters and store', 'wide', list),
    update: (row) =>
      facts.update([...ofQuota(row), ...ofQueue(row), ...ofDelays(state), ...ofStore(row), ...ofFleet(row), ...ofMerging(state)]),
  }
}

function ofQuota({ quota: { windows, source }, available, counters }) {
  const texts = windows.map((window) => {
    const share = window.share === null ? '' : `, ${count(window.share)} of them ours`
    return `${quota(window)} (${window.why}${share})`
  })
  return [
    ['Quota', texts.join('; ') || 'none is known'],
    ['Quota is', source],
    ['Requests that may leave now', count(available)],
    ['Requests sent', `${count(counters.requests)}, ${count(counters.retries)} of them retries`],
    ['Answers of 429', count(counters.throttled)],
  ]
}

function ofQueue({ queue, counters }) {
  return [
    ['Accepted', `${count(counters.accepted)}, and ${plural(counters.duplicates, 'duplicate')} recognized`],
    ['Delivered', count(counters.delivered)],
    ['In the outbox', `${plural(queue.messages, 'message')} of ${plural(queue.conversations, 'conversation')}, ${bytes(queue.bytes)}`],
    ['Wait for room', count(queue.waiting)],
    ['Refused, and tried again', count(queue.refused)],
    ['Dead letters made', `${count(counters.deadLetters)}, ${count(counters.deadLettersDropped)} evicted`],
  ]
}

function ofDelays({ detail }) {
  const text = ({ p50, p99, max, count: times }) => (times === 0 ? NONE : `${span(p50)} / ${span(p99)} / ${span(max)}`)
  const { queuedMs, requestMs, totalMs } = detail?.latencies ?? {}
  if (totalMs === undefined) return []
  return [
    ['Delay in all, p50 / p99 / most', text(totalMs)],
    ['of it in the queue', text(queuedMs)],
    ['of it on the wire', text(requestMs)],
  ]
}

function ofStore({ store }) {
  if (store === null) return [['Store', 'memory: ends with the process']]
  const facts = [
    ['Store', store.problem === null ? 'file' : `file: ${store.problem.message}`],
    ['Recovered from an earlier run', count(store.recovered)],
  ]
  if (store.unreadable > 0) facts.push(['Unreadable', count(store.unreadable)])
  if (store.setAside) facts.push(['A damaged file', 'was set aside; see spillway outbox'])
  return facts
}

function ofFleet({ fleet }) {
  if (fleet === null) return []
  const facts = [
    ['Fleet', `${plural(fleet.hosts, 'host')}; this one holds ${count(fleet.share)} of ${count(fleet.target)} due to it`],
    ['Host', fleet.host],
    ['Lease', fleet.leaseUntilMs === null ? 'none' : `until ${moment(fleet.leaseUntilMs)}`],
  ]
  if (fleet.problem !== null) facts.push(['Redis', fleet.problem])
  if (fleet.waitsUntilMs !== null) facts.push(['Hands out nothing until', moment(fleet.waitsUntilMs)])
  if (fleet.rateLimitsDiffer) facts.push(['rateLimit', 'differs between hosts: the lowest counts'])
  if (fleet.usesOwnShare) facts.push(['Sends', 'at its own rate, since the Redis does not answer'])
  return facts
}

function ofMerging({ detail }) {
  if (!detail?.merging) return []
  const { joined, prevented } = detail.merging
  const fields = prevented.map(({ field, times }) => `${field} (${count(times)})`).join(', ')
  return [['Merged', `${count(joined)} joined another request${fields === '' ? '' : `; prevented by ${fields}`}`]]
}
