'use strict'

const { number } = require('./text.js')

const WIDTH = 760
const HEIGHT = 220
const LEFT = 56
const BOTTOM = 26
const TOP = 12

/** A whole number of steps that covers `most`: 1, 2 or 5 times a power of ten. */
function scaleOf(most) {
  const rough = Math.max(most, 1e-9) / 4
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((times) => times * power).find((size) => size >= rough && (size >= 1 || most > 1)) ?? 1
  return { step, top: step * Math.max(1, Math.ceil(most / step)) }
}

/**
 * A plot as inline SVG: `series` of `{ name, kind: 'line' | 'bars', values }`, a value per plateau, and a `mark`, a horizontal line with
 * a label. Colors come from the page, by class, so that dark and light are the page's.
 */
function plot({ title, unit, labels, series, mark = null }) {
  const { step, top } = scaleOf(Math.max(...series.flatMap(({ values }) => values), mark?.value ?? 0))
  const count = labels.length
  const x = (index) => LEFT + ((index + 0.5) * (WIDTH - LEFT - 8)) / count
  const y = (value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - BOTTOM - TOP)
  const parts = []
  for (let value = 0; value <= top + step / 2; value += step) {
    parts.push(`<line class="grid" x1="${LEFT}" x2="${WIDTH - 8}" y1="${fix(y(value))}" y2="${fix(y(value))}"/>`)
    parts.push(`<text class="tick" x="${LEFT - 6}" y="${fix(y(value) + 4)}" text-anchor="end">${number(value)}</text>`)
  }
  const every = Math.ceil(count / 16)
  labels.forEach((label, index) => {
    if (index % every === 0) parts.push(`<text class="tick" x="${fix(x(index))}" y="${HEIGHT - 8}" text-anchor="middle">${label}</text>`)
  })
  series.forEach(({ kind, values, style }) =>
    parts.push(kind === 'bars' ? bars(values, style, x, y, count) : line(values, style, x, y, labels, unit)),
  )
  if (mark !== null) {
    parts.push(`<line class="mark" x1="${LEFT}" x2="${WIDTH - 8}" y1="${fix(y(mark.value))}" y2="${fix(y(mark.value))}"/>`)
    parts.push(`<text class="marktext" x="${LEFT + 6}" y="${fix(y(mark.value) - 5)}">${mark.text}</text>`)
  }
  const legend = series.map(({ name, style }) => `<span class="key ${style}"><i></i>${name}</span>`).join('')
  return `<figure><figcaption><b>${title}</b> <span class="unit">${unit}</span>${legend}</figcaption><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}, ${unit}">${parts.join('')}</svg></figure>`
}

function bars(values, style, x, y, count) {
  const width = Math.max(2, Math.min(26, ((WIDTH - LEFT) / count) * 0.6))
  return values
    .map(
      (value, index) =>
        `<rect class="bar ${style}" x="${fix(x(index) - width / 2)}" y="${fix(y(value))}" width="${fix(width)}" height="${fix(y(0) - y(value))}"><title>${number(value)}</title></rect>`,
    )
    .join('')
}

function line(values, style, x, y, labels, unit) {
  const points = values.map((value, index) => `${fix(x(index))},${fix(y(value))}`)
  const dots = values.map(
    (value, index) =>
      `<circle class="dot ${style}" cx="${fix(x(index))}" cy="${fix(y(value))}" r="3"><title>plateau ${labels[index]}: ${number(value)} ${unit}</title></circle>`,
  )
  return `<polyline class="line ${style}" points="${points.join(' ')}"/>${values.length <= 80 ? dots.join('') : ''}`
}

const fix = (value) => value.toFixed(1)

module.exports = { plot }
