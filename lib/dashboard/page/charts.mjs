import { el, setText } from './dom.mjs'
import { clock, count, rate, span } from './format.mjs'

const HEIGHT = 150
/** Rates by the second would show the windows of the quota rather than the load. */
const RATE_SPAN_S = 5

/** The plots of an organization's last hour; each `{ title, unit, show, series }` where a series gives values by sample. */
const PLOTS = [
  {
    title: 'Requests per second',
    show: rate,
    series: [
      { name: 'sent', color: '--blue', of: grown('requests'), fill: true },
      { name: 'quota', color: '--dim', of: value('quotaPerSecond'), dash: [4, 4] },
      { name: '429', color: '--red', of: grown('throttled') },
    ],
  },
  {
    title: 'Messages per second',
    show: rate,
    series: [
      { name: 'accepted', color: '--violet', of: grown('accepted') },
      { name: 'delivered', color: '--green', of: grown('delivered'), fill: true },
    ],
  },
  { title: 'Messages waiting', show: count, least: 4, series: [{ name: 'waiting', color: '--blue', of: value('messages'), fill: true }] },
  {
    title: 'Delay',
    show: (seconds) => span(seconds === null ? null : seconds * 1_000),
    series: [
      { name: 'oldest waits', color: '--amber', of: value('oldestMs', 1e-3), fill: true },
      { name: 'p99', color: '--violet', of: value('p99Ms', 1e-3) },
      { name: 'p50', color: '--green', of: value('p50Ms', 1e-3) },
    ],
  },
]

/** A value of each sample. */
function value(field, times = 1) {
  return ({ fields, rows }) => {
    const at = fields.indexOf(field)
    return rows.map((row) => (row[at] === null ? null : row[at] * times))
  }
}

/** How much a counter grows per second. After a restart it begins again: there is no rate then. */
function grown(field) {
  return ({ fields, rows }) => {
    const at = fields.indexOf(field)
    let from = 0
    return rows.map((row, index) => {
      while (from + 1 < index && row[0] - rows[from + 1][0] >= RATE_SPAN_S * 1_000) from++
      const [spanMs, more] = [row[0] - rows[from][0], row[at] - rows[from][at]]
      return spanMs <= 0 || more < 0 ? null : (more * 1_000) / spanMs
    })
  }
}

/** The four plots. `update(history)` draws them; `end()` lets them go. */
export function hourPlots() {
  const plots = PLOTS.map((plot) => chart(plot))
  return {
    element: el('div', { class: 'plots' }, ...plots.map(({ element }) => element)),
    update(history) {
      const times = history.rows.map(([atMs]) => atMs / 1_000)
      for (const [index, { draw }] of plots.entries()) draw([times, ...PLOTS[index].series.map(({ of }) => of(history))])
    },
    end: () => plots.forEach(({ end }) => end()),
  }
}

/** A plot with a legend that shows the values under the pointer, else the latest. It goes up to `least` at least; `x` names what isn't a time. */
export function chart({ title, show, series, least = 0, x = null }) {
  const values = series.map(() => el('b'))
  const legend = series.map(({ name, color }, index) =>
    el('span', { class: 'key', 'data-color': color.slice(2) }, el('i'), `${name} `, values[index]),
  )
  const when = el('span', { class: 'dim' })
  const canvas = el('div', { class: 'canvas', role: 'img', 'aria-label': title })
  const element = el('figure', {}, el('figcaption', {}, el('strong', {}, title), ...legend, when), canvas)
  let plot = null
  let data = null
  let described = 0

  function tell(index) {
    const at = index ?? data[0].length - 1
    series.forEach((_, number) => setText(values[number], show(data[number + 1][at] ?? null)))
    setText(when, index === null || index === undefined ? '' : x === null ? clock(data[0][at] * 1_000) : `${x} ${data[0][at]}`)
  }

  // A screen reader is not to be told four times a second.
  function describe() {
    if (performance.now() - described < 5_000) return
    described = performance.now()
    const latest = series.map(({ name }, number) => `${name} ${show(data[number + 1].at(-1) ?? null)}`)
    canvas.setAttribute('aria-label', `${title}, latest: ${latest.join(', ')}`)
  }

  function build() {
    plot?.destroy()
    const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
    const axis = { stroke: color('--dim'), grid: { stroke: color('--rule'), width: 1 }, ticks: { show: false }, font: '11px system-ui' }
    const options = {
      width: Math.max(200, canvas.clientWidth),
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      scales: { x: { time: x === null }, y: { range: (_, _lowest, most) => [0, Math.max(least, most > 0 ? most * 1.1 : 1)] } },
      axes: [
        { ...axis, space: 80, size: 26, values: (_, splits) => splits.map((split) => (x === null ? clock(split * 1_000) : String(split))) },
        { ...axis, size: 66, space: 32, values: (_, splits) => splits.map((split) => show(split)) },
      ],
      series: [
        {},
        ...series.map(({ name, color: of, dash, fill, points = false }) => ({
          label: name,
          stroke: color(of),
          width: 1.75,
          dash,
          fill: fill ? `${color(of)}22` : undefined,
          points: { show: points },
        })),
      ],
      hooks: { setCursor: [({ cursor }) => tell(cursor.idx)] },
    }
    plot = new globalThis.uPlot(options, data, canvas)
  }

  const resized = new ResizeObserver(() => {
    if (plot !== null && canvas.clientWidth > 0) plot.setSize({ width: canvas.clientWidth, height: HEIGHT })
  })
  resized.observe(canvas)
  const dark = matchMedia('(prefers-color-scheme: dark)')
  const recolor = () => plot !== null && build()
  dark.addEventListener('change', recolor)

  return {
    element,
    draw(next) {
      data = next
      if (plot === null) build()
      else plot.setData(data)
      tell(plot.cursor.idx)
      describe()
    },
    end() {
      resized.disconnect()
      dark.removeEventListener('change', recolor)
      plot?.destroy()
    },
  }
}
