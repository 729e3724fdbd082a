'use strict'

const { readFile, stat } = require('node:fs/promises')

const { isObject } = require('../checks.js')
const { summaryRows } = require('../ramp/text.js')

const FILE_BYTES_MAX = 8 * 1024 * 1024
const PLATEAUS_MAX = 500

/** What the page shows of the report that `spillway ramp` wrote: no refusal's own words. Null if there is none that can be read. */
async function readRampReport(setting, organization) {
  const path = isObject(setting) ? setting[organization] : setting
  if (typeof path !== 'string') return null
  // The page that it writes lies beside its data.
  const file = path.replace(/\.html?$/i, '.json')
  try {
    if ((await stat(file)).size > FILE_BYTES_MAX) return null
    const report = JSON.parse(await readFile(file, 'utf8'))
    return {
      target: report.target,
      startedAt: report.startedAt,
      summary: summaryRows(report),
      interval: report.interval,
      windowMs: report.windowMs,
      plateaus: report.plateaus
        .slice(0, PLATEAUS_MAX)
        .map(({ name, offered, accepted, refused, p50Ms, p99Ms }) => ({ name, offered, accepted, refused, p50Ms, p99Ms })),
    }
  } catch {
    return null
  }
}

module.exports = { readRampReport }
