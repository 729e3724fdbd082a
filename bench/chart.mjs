// The README's picture: what reaches the server in each second beside what it allows, a panel for each client. Plain SVG
// with its own background, so that it can be read on a light page and on a dark one.
const WIDTH = 880
const MARGIN = { left: 56, right: 24, top: 84, bottom: 56 }
const PANEL = { height: 96, gap: 46 }
const FONT = "font-family: -apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif"
const LIGHT = {
  card: '#ffffff',
  border: '#d0d7de',
  text: '#1f2328',
  dim: '#59636e',
  grid: '#eaeef2',
  quota: '#1f2328',
  accepted: '#0969da',
  refused: '#cf222e',
}
const DARK = {
  card: '#0d1117',
  border: '#3d444d',
  text: '#f0f6fc',
  dim: '#9198a1',
  grid: '#21262d',
  quota: '#f0f6fc',
  accepted: '#4493f8',
  refused: '#f85149',
}

const rules = (theme) =>
  Object.entries(theme)
    .map(([name, color]) => `--${name}: ${color};`)
    .join(' ')
const style = () => `<style>
  svg { ${rules(LIGHT)} }
  @media (prefers-color-scheme: dark) { svg { ${rules(DARK)} } }
  text { ${FONT}; font-size: 12px; fill: var(--dim); }
  .title { font-size: 17px; font-weight: 600; fill: var(--text); }
  .name { font-size: 14px; font-weight: 600; fill: var(--text); }
  .figures { font-size: 13px; fill: var(--text); }
  .bad { fill: var(--refused); }
  .card { fill: var(--card); stroke: var(--border); }
  .grid { stroke: var(--grid); }
  .quota { fill: none; stroke: var(--quota); stroke-width: 1.5; stroke-dasharray: 5 3; }
  .accepted { fill: var(--accepted); fill-opacity: 0.3; stroke: var(--accepted); stroke-width: 1.5; }
  .refused { fill: var(--refused); fill-opacity: 0.3; stroke: var(--refused); stroke-width: 1.5; }
</style>`

const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
const line = (points) => `M${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join('L')}`
const path = (points, kind) => `<path class="${kind}" d="${line(points)}"/>`
const text = (x, y, content, attributes = '') => `<text x="${x}" y="${y}" ${attributes}>${content}</text>`

/** Where seconds and rates lie in a panel whose upper edge is at `top`. */
function scales({ seconds, perSecondMax }, top) {
  const width = WIDTH - MARGIN.left - MARGIN.right
  const x = (second) => MARGIN.left + (second / seconds) * width
  const y = (rate) => top + PANEL.height * (1 - Math.min(rate, perSecondMax) / perSecondMax)
  return { x, y }
}

function axes({ seconds, perSecondMax, ticks }, { x, y }) {
  return ticks.rates
    .map((rate) => {
      const mark = `<line class="grid" x1="${x(0)}" x2="${x(seconds)}" y1="${y(rate)}" y2="${y(rate)}"/>`
      return mark + text(x(0) - 8, y(rate) + 4, rate === perSecondMax ? `${rate}/s` : rate, 'text-anchor="end"')
    })
    .join('\n')
}

/** The quota as steps: `[{ atSecond, perSecond }]`. */
function quotaLine({ quota, seconds }, { x, y }) {
  const points = quota.flatMap(({ atSecond, perSecond }, n) => [
    [x(atSecond), y(perSecond)],
    [x(quota[n + 1]?.atSecond ?? seconds), y(perSecond)],
  ])
  return path(points, 'quota')
}

/** What was accepted, and on top of it what was refused. */
function areas({ points }, { x, y }) {
  const baseline = (at) => [x(at.second), y(0)]
  const accepted = points.map((at) => [x(at.second), y(at.accepted)])
  const all = points.map((at) => [x(at.second), y(at.accepted + at.refused)])
  const ends = [baseline(points.at(-1)), baseline(points[0])]
  const parts = [path([...accepted, ...ends], 'accepted')]
  if (points.some((at) => at.refused > 0)) parts.unshift(path([...all, ...accepted.toReversed()], 'refused'))
  return parts.join('\n')
}

function panel(chart, client, index) {
  const top = MARGIN.top + index * (PANEL.height + PANEL.gap) + 18
  const scale = scales(chart, top)
  const figures = client.figures.map(({ text: words, bad }) => `<tspan${bad ? ' class="bad"' : ''}>${escaped(words)}</tspan>`).join(' · ')
  return [
    text(
      MARGIN.left,
      top - 14,
      `${escaped(client.name)} <tspan style="font-weight: 400; fill: var(--dim)">${escaped(client.told)}</tspan>`,
      'class="name"',
    ),
    text(WIDTH - MARGIN.right, top - 14, figures, 'class="figures" text-anchor="end"'),
    axes(chart, scale),
    areas(client, scale),
    quotaLine(chart, scale),
  ].join('\n')
}

function timeAxis({ seconds, ticks }, height) {
  const { x } = scales({ seconds, perSecondMax: 1 }, 0)
  const y = height - MARGIN.bottom + 22
  const marks = ticks.seconds.map((second) => text(x(second), y, `${second} s`, 'text-anchor="middle"'))
  return marks.join('\n')
}

function legend(items) {
  let x = MARGIN.left
  return items
    .map(({ kind, words }) => {
      const mark =
        kind === 'quota' ? `<path class="quota" d="M${x} 58h22"/>` : `<rect class="${kind}" x="${x}" y="52" width="22" height="11"/>`
      const label = text(x + 30, 62, escaped(words))
      x += 30 + words.length * 6.2 + 24
      return mark + label
    })
    .join('\n')
}

/**
 * `{ title, legend, seconds, perSecondMax, ticks: { rates, seconds }, quota, clients }`; a client is
 * `{ name, told, figures: [{ text, bad? }], points: [{ second, accepted, refused }] }`.
 */
export function svg(chart) {
  const height = MARGIN.top + chart.clients.length * (PANEL.height + PANEL.gap) - PANEL.gap + 18 + MARGIN.bottom
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>${escaped(chart.title)}</title>`,
    style(),
    `<rect class="card" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="8"/>`,
    text(MARGIN.left, 34, escaped(chart.title), 'class="title"'),
    legend(chart.legend),
    ...chart.clients.map((client, index) => panel(chart, client, index)),
    timeAxis(chart, height),
    '</svg>',
  ].join('\n')}\n`
}
