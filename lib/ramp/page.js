'use strict'

const { plot } = require('./plots.js')
const { intervalText, number, spanText, summaryRows } = require('./text.js')

const STYLE = `
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#59636e;--rule:#d8dee4;--card:#f6f8fa;--a:#0860ca;--b:#1a7f37;--c:#cf222e;--d:#8250df}
@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--dim:#9198a1;--rule:#30363d;--card:#161b22;--a:#58a6ff;--b:#3fb950;--c:#ff7b72;--d:#bc8cff}}
*{box-sizing:border-box}body{margin:0 auto;max-width:860px;padding:24px 20px 48px;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif}
h1{font-size:19px;margin:0;font-weight:600}h2{font-size:16px;margin:32px 0 8px}.dim,.unit{color:var(--dim)}
.big{font-size:32px;font-weight:650;margin:18px 0 2px;letter-spacing:-.01em}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 20px;margin:16px 0;padding:14px 16px;background:var(--card);border:1px solid var(--rule);border-radius:8px}
dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}
figure{margin:16px 0;padding:12px 12px 4px;border:1px solid var(--rule);border-radius:8px}figcaption{font-size:14px;margin-bottom:4px}
svg{width:100%;height:auto;display:block}.grid{stroke:var(--rule);stroke-width:1}.tick{fill:var(--dim);font:11px system-ui,sans-serif}
.mark{stroke:var(--fg);stroke-width:1.2;stroke-dasharray:5 4}.marktext{fill:var(--fg);font:12px system-ui,sans-serif;paint-order:stroke;stroke:var(--bg);stroke-width:4px}
.line{fill:none;stroke:currentColor;stroke-width:2}.dot,.bar{fill:currentColor}.s1{color:var(--a)}.s2{color:var(--b)}.s3{color:var(--c)}.s4{color:var(--d)}
.key{margin-left:14px;white-space:nowrap}.key i{display:inline-block;width:10px;height:10px;border-radius:2px;background:currentColor;margin-right:5px}
table{border-collapse:collapse;width:100%;font-size:13px;font-variant-numeric:tabular-nums}th,td{padding:3px 8px;border-bottom:1px solid var(--rule);text-align:right}
th{color:var(--dim);font-weight:500}td:nth-child(2),th:nth-child(2),td:last-child,th:last-child{text-align:left}.scroll{overflow-x:auto}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:10px 12px;font-size:12px;margin:8px 0}
`

const WHAT =
  'climb: up from what is known; repeat: half a window later; late: the last requests late in their window; ' +
  'split: in two windows, so more than the limit may pass; hold: a bucket kept nearly empty; whose: another conversation, another route'

const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escaped = (text) => String(text).replace(/[&<>"']/g, (char) => ESCAPES[char])

/** The report as one HTML file that needs nothing else: no script, no font, no network. */
function page(report) {
  const { windowMs, interval, plateaus } = report
  const title = `spillway ramp: ${report.target}`
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escaped(title)}</title><style>${STYLE}</style></head><body>
<h1>${escaped(title)}</h1><div class="dim">${escaped(report.startedAt)}, ${number(report.elapsedMs / 1000)} s</div>
<p class="big">${escaped(interval === null ? 'No limit found' : intervalText(report))}</p>
<div class="dim">${escaped(report.cause)}</div>
<dl>${summaryRows(report)
    .map(([label, text]) => `<dt>${escaped(label)}</dt><dd>${escaped(text)}</dd>`)
    .join('')}</dl>
${plateaus.length > 0 ? plots(plateaus, interval, windowMs) : ''}
${evidence(report)}
${table(plateaus)}
${refusals(report.refusals)}
</body></html>
`
}

function plots(plateaus, interval, windowMs) {
  const rows = plateaus.filter(({ name, windowMs: own }) => own === windowMs && name !== 'whose')
  const labels = rows.map((_, index) => index + 1)
  const of = (key) => rows.map((row) => row[key])
  const mark = interval === null ? null : { value: interval.low, text: `${number(interval.low)} per ${spanText(windowMs)}` }
  return `<h2>Plateau by plateau</h2>
${plot({
  title: 'Offered and accepted',
  unit: `requests per ${spanText(windowMs)}`,
  labels,
  series: [
    { name: 'offered', kind: 'line', values: of('offered'), style: 's1' },
    { name: 'accepted', kind: 'line', values: of('accepted'), style: 's2' },
  ],
  mark,
})}
${plot({
  title: 'Latency',
  unit: 'ms, from the intended time of sending',
  labels,
  series: [
    { name: 'p50', kind: 'line', values: of('p50Ms'), style: 's2' },
    { name: 'p99', kind: 'line', values: of('p99Ms'), style: 's4' },
  ],
})}
${plot({
  title: 'Refused, failed, dropped',
  unit: 'requests',
  labels,
  series: [
    { name: '429', kind: 'bars', values: of('refused'), style: 's3' },
    { name: '5xx or no answer', kind: 'line', values: of('failed'), style: 's4' },
    { name: 'dropped by the client', kind: 'line', values: of('dropped'), style: 's1' },
  ],
})}`
}

function evidence({ algorithm, scope, told, interval }) {
  const items = [...(interval === null ? [] : [...algorithm.evidence, scope.evidence])]
  for (const { source, namespace, key, value, agrees } of told) {
    items.push(`${source} says ${namespace}/${key} = ${value}${agrees ? ', as was found' : ''}`)
  }
  if (items.length === 0) return ''
  return `<h2>Evidence</h2><ul>${items.map((item) => `<li>${escaped(item)}</li>`).join('')}</ul>`
}

function table(plateaus) {
  const heads = ['#', 'what', 'offered', 'accepted', '429', 'failed', 'dropped', 'p50 ms', 'p99 ms', 'late ms', 'ended']
  const rows = plateaus.map((row, index) => {
    const cells = [
      index + 1,
      row.name,
      row.offered,
      row.accepted,
      row.refused,
      row.failed,
      row.dropped,
      row.p50Ms,
      row.p99Ms,
      row.lateMs,
      row.stopped ?? '',
    ]
    return `<tr>${cells.map((cell) => `<td>${escaped(cell)}</td>`).join('')}</tr>`
  })
  return `<h2>All plateaus</h2><p class="dim">${WHAT}</p><div class="scroll"><table><tr>${heads.map((head) => `<th>${head}</th>`).join('')}</tr>${rows.join('')}</table></div>`
}

function refusals(list) {
  if (list.length === 0) return ''
  const blocks = list.map(({ correlationId, headers, body }) => {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
    return `<pre>${escaped([`429${correlationId === null ? '' : ` (${correlationId})`}`, ...lines, '', body].join('\n'))}</pre>`
  })
  return `<h2>The refusals, as they came</h2>${blocks.join('')}`
}

module.exports = { page }
