// What the service has said so far.

/** From the most urgent on. */
export const LEVELS = ['down', 'trouble', 'held', 'busy', 'fine', 'idle', 'closed']
export const LEVEL_WORDS = {
  down: 'Down',
  trouble: 'Trouble',
  held: 'Paused',
  busy: 'At quota',
  fine: 'Sending',
  idle: 'Idle',
  closed: 'Closed',
}
const HOUR_MS = 3_600_000

export class State {
  rows = new Map()
  /** What the service's clock is ahead of this one. */
  offsetMs = 0
  /** `{ fields, rows }` of the organization that is shown. */
  history = null
  detail = null
  session = { token: '', acts: [], by: null }

  now() {
    return Date.now() + this.offsetMs
  }

  mayActOn(organization) {
    const { acts } = this.session
    return acts === 'all' || acts.includes(organization)
  }

  takeRows({ now, gone, rows }) {
    this.offsetMs = now - Date.now()
    for (const name of gone) this.rows.delete(name)
    for (const row of rows) this.rows.set(row.organization, row)
  }

  takeSample(sample) {
    if (this.history === null) return
    const { rows } = this.history
    rows.push(sample)
    while (rows.length > 0 && rows[0][0] < sample[0] - HOUR_MS) rows.shift()
  }

  forget() {
    this.history = null
    this.detail = null
  }

  /** By urgency, then by what waits, roughly, so that rows don't change places all the time. */
  sorted(filter, onlyTrouble) {
    const wanted = filter.trim().toLowerCase()
    const all = [...this.rows.values()].filter(
      (row) => row.organization.toLowerCase().includes(wanted) && (!onlyTrouble || isInTrouble(row)),
    )
    return all.sort((a, b) => urgency(a) - urgency(b) || weight(b) - weight(a) || (a.organization < b.organization ? -1 : 1))
  }
}

export function isInTrouble({ level }) {
  return level === 'down' || level === 'trouble'
}

function urgency({ level }) {
  return LEVELS.indexOf(level)
}

function weight({ queue }) {
  return Math.floor(Math.log2(queue.messages + queue.waiting + 1))
}
