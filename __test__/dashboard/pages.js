'use strict'

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')

const { defer } = require('../defer.js')
const { PATIENCE_MS } = require('../until.js')

const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')
const DESKTOP = { width: 1280, height: 860 }
/** Fits no text. */
const NO_ERROR = /(?!)/
const PHONE = { width: 390, height: 844 }

/** An open page. It may ask nobody else for anything, and have no error but those `expected`, or the test fails. */
async function openPage(t, browser, url, { expected = NO_ERROR, ...options } = {}) {
  const context = await browser.newContext({
    viewport: DESKTOP,
    colorScheme: 'light',
    reducedMotion: 'reduce',
    locale: 'en-US',
    ...options,
  })
  const page = await context.newPage()
  page.setDefaultTimeout(PATIENCE_MS)
  const problems = []
  page.on('pageerror', (error) => problems.push(error.stack))
  page.on('console', (message) => {
    // A connection that is refused while the service restarts is the browser's to report.
    if (message.type() === 'error' && !/ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY/.test(message.text()) && !expected.test(message.text()))
      problems.push(message.text())
  })
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin) problems.push(`asks ${request.url()}`)
  })
  defer(t, async () => {
    await context.close()
    assert.deepEqual(problems, [])
  })
  await page.goto(url)
  return page
}

/** What axe finds, as lines; nothing if all is well. */
async function axe(page) {
  await page.evaluate(AXE)
  const { violations } = await page.evaluate(() => globalThis.axe.run())
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, any }) => `${html} ${any[0]?.message ?? ''}`).join(' | ')}`)
}

/** Whether it is wider than the window. */
async function overflow(page) {
  return page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
}

/** The text of each cell in a row of the list, by column. */
async function rowOf(page, organization) {
  return page.evaluate((name) => {
    const rows = [...document.querySelectorAll('table.organizations tbody tr')]
    const row = rows.find((one) => one.querySelector('th').textContent === name)
    // biome-ignore lint/performance/useDomNodeTextContent: what is seen, with the spaces between blocks
    return row && Object.fromEntries([...row.children].map((cell) => [cell.dataset.label, cell.innerText.replace(/\s+/g, ' ').trim()]))
  }, organization)
}

/** The value of a fact of an organization's page. */
async function factOf(page, name) {
  return page.evaluate((wanted) => {
    const terms = [...document.querySelectorAll('.facts dt, .tiles dt')]
    return terms.find(({ textContent }) => textContent === wanted)?.nextElementSibling.textContent
  }, name)
}

module.exports = { axe, DESKTOP, factOf, openPage, overflow, PHONE, rowOf }
