import { chart } from './charts.mjs'
import { el } from './dom.mjs'
import { count, moment, span } from './format.mjs'
import { panel } from './panel.mjs'

/** What `spillway ramp` found, where the dashboard was given its report. */
export function rampPanel(organization) {
  const element = panel('Ramp', 'wide')
  element.hidden = true
  read(organization).then((report) => {
    if (report === null) return
    element.hidden = false
    const list = el('dl', { class: 'facts' })
    for (const [name, text] of report.summary) list.append(el('div', {}, el('dt', {}, name), el('dd', {}, text)))
    element.append(el('p', { class: 'dim' }, `${report.target}, ${moment(Date.parse(report.startedAt))}`), list)
    const plateaus = report.plateaus.filter(({ name }) => name !== 'whose')
    if (plateaus.length === 0) return
    const plots = plotsOf(report, plateaus)
    element.append(el('div', { class: 'plots' }, ...plots.map(({ element: figure }) => figure)))
    const of = (key) => plateaus.map((plateau) => plateau[key])
    const numbers = plateaus.map((_, index) => index + 1)
    plots[0].draw([numbers, of('offered'), of('accepted'), of('refused')])
    plots[1].draw([numbers, of('p99Ms'), of('p50Ms')])
  })
  return { element, update() {} }
}

async function read(organization) {
  const answer = await fetch(`ramp?organization=${encodeURIComponent(organization)}`)
  return answer.ok ? await answer.json() : null
}

function plotsOf({ windowMs }) {
  return [
    chart({
      title: `Requests per ${span(windowMs)}`,
      show: count,
      x: 'plateau',
      series: [
        { name: 'offered', color: '--blue' },
        { name: 'accepted', color: '--green' },
        { name: '429', color: '--red' },
      ],
    }),
    chart({
      title: 'Latency',
      show: span,
      x: 'plateau',
      series: [
        { name: 'p99', color: '--violet' },
        { name: 'p50', color: '--green' },
      ],
    }),
  ]
}
