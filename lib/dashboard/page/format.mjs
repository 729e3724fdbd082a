// Numbers and times as people read them.

const WHOLE = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const TENTHS = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 })
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })
const DAY = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' })
const UNITS = [
  [86_400_000, 'd', 3_600_000, 'h'],
  [3_600_000, 'h', 60_000, 'min'],
  [60_000, 'min', 1_000, 's'],
]

export const NONE = '–'

export function count(value) {
  return value === null || value === undefined ? NONE : WHOLE.format(value)
}

/** A rate per second, or another number with a tenth where that says something. */
export function rate(value) {
  return value === null || value === undefined ? NONE : value < 100 ? TENTHS.format(value) : WHOLE.format(value)
}

/** `850 ms`, `3.2 s`, `95 s`, `4 min 12 s`, `2 h 5 min`. */
export function span(ms) {
  if (ms === null || ms === undefined) return NONE
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms >= 10_000 && ms < 120_000) return `${Math.floor(ms / 1_000)} s`
  if (ms < 60_000) return `${TENTHS.format(Math.floor(ms / 100) / 10)} s`
  const [large, largeName, small, smallName] = UNITS.find(([length]) => ms >= length)
  const rest = Math.floor((ms % large) / small)
  return rest === 0 ? `${Math.floor(ms / large)} ${largeName}` : `${Math.floor(ms / large)} ${largeName} ${rest} ${smallName}`
}

/** The same by whole seconds, for what counts up or down. */
export function ticking(ms) {
  return ms < 1_000 ? '0 s' : span(Math.floor(ms / 1_000) * 1_000)
}

export function bytes(value) {
  if (value < 1_024) return `${value} B`
  const exponent = Math.min(3, Math.floor(Math.log2(value) / 10))
  return `${TENTHS.format(value / 1_024 ** exponent)} ${['B', 'KiB', 'MiB', 'GiB'][exponent]}`
}

export function clock(ms) {
  return CLOCK.format(ms)
}

export function moment(ms) {
  return Date.now() - ms < 86_400_000 / 2 ? CLOCK.format(ms) : DAY.format(ms)
}

/** A window of a quota: `300 per 1 min`. */
export function quota({ requests, perMs }) {
  return `${count(requests)} per ${span(perMs)}`
}

export function plural(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`
}
