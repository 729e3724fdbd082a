'use strict'

// How the page looks, on the organizations of `spillway simulate --ui`: what axe finds, what is wider than a telephone. With
// SPILLWAY_SCREENSHOTS=yes it also makes the pictures of docs/dashboard.md again.

const assert = require('node:assert/strict')
const { join } = require('node:path')
const { after, before, describe, it } = require('node:test')
const { setTimeout: delay } = require('node:timers/promises')

const { startSamples } = require('../../lib/cli/samples.js')
const { startBrowser } = require('../browser.js')
const { createDashboard } = require('../../lib/dashboard/index.js')
const { ROOT } = require('../http/support.js')
const { until } = require('../until.js')
const { axe, factOf, openPage, overflow, PHONE, rowOf } = require('./pages.js')
const { mount } = require('./support.js')

const isPictured = process.env.SPILLWAY_SCREENSHOTS !== undefined
/** For pictures there is to be something on the plots. */
const HISTORY_MS = 75_000
const RAMP = join(__dirname, 'fixtures/ramp.json')

let browser
let samples
let dashboard

before(async () => {
  browser = await startBrowser()
  samples = await startSamples()
  dashboard = createDashboard(samples.senders, { readOnly: false, rampReport: { globex: RAMP } })
  if (isPictured) await delay(HISTORY_MS)
})

after(async () => {
  dashboard.close()
  await samples.close()
  await browser.close()
})

/** The list, when all trouble has begun. */
async function list(t, options) {
  const { url } = await mount(t, dashboard)
  const page = await openPage(t, browser, url, options)
  for (const [organization, state] of [
    ['soylent', /^Down/],
    ['umbrella', /^Trouble/],
    ['cyberdyne', /^Trouble/],
    ['oscorp', /^Paused/],
  ]) {
    await until(async () => state.test((await rowOf(page, organization))?.State))
  }
  await until(async () => (await rowOf(page, 'oscorp')).Oldest !== '–')
  await until(async () => / rejected$/.test((await rowOf(page, 'cyberdyne'))['Dead letters']))
  return page
}

/** An organization's own page, when its plots and panels are there. */
async function organization(t, name, options) {
  const { url } = await mount(t, dashboard)
  const page = await openPage(t, browser, `${url}#/organization/${name}`, options)
  await until(async () => (await page.locator('figure canvas').count()) >= 4)
  await until(async () => (await factOf(page, 'Delay in all, p50 / p99 / most')) !== undefined)
  await page.getByRole('button', { name: 'Pause…' }).waitFor()
  return page
}

async function picture(page, name, options) {
  if (isPictured) await page.screenshot({ path: join(ROOT, 'docs/images', `dashboard-${name}.png`), ...options })
}

for (const colorScheme of ['light', 'dark']) {
  describe(`in ${colorScheme}, axe finds nothing`, () => {
    it('in the list', async (t) => {
      const page = await list(t, { colorScheme })
      if (colorScheme === 'light') await picture(page, 'list')
      assert.deepEqual(await axe(page), [])
    })

    for (const name of ['umbrella', 'cyberdyne', 'soylent', 'oscorp', 'globex']) {
      it(`in the page of ${name}`, async (t) => {
        const page = await organization(t, name, { colorScheme })
        if (name === 'cyberdyne')
          await page
            .getByRole('button', { name: /^Drop m-/ })
            .first()
            .waitFor()
        if (name === 'globex') await page.getByRole('heading', { name: 'Ramp' }).waitFor()
        if (name === 'umbrella') {
          await page.getByText('429 for the organization').waitFor()
          if (colorScheme === 'dark') await picture(page, 'organization')
        }
        assert.deepEqual(await axe(page), [])
      })
    }

    it('in a question', async (t) => {
      const page = await organization(t, 'cyberdyne', { colorScheme })
      await page.getByRole('button', { name: 'Drop all…' }).click()
      await page.getByRole('dialog').waitFor()
      assert.deepEqual(await axe(page), [])
    })
  })
}

describe('on a telephone', () => {
  it('the list is as wide as the window', async (t) => {
    const page = await list(t, { viewport: PHONE, isMobile: true })
    assert.equal(await overflow(page), 0)
    await picture(page, 'phone')
    assert.deepEqual(await axe(page), [])
  })

  for (const name of ['cyberdyne', 'globex', 'umbrella']) {
    it(`the page of ${name} is, too`, async (t) => {
      const page = await organization(t, name, { viewport: PHONE, isMobile: true })
      if (name === 'globex') await page.getByRole('heading', { name: 'Ramp' }).waitFor()
      assert.equal(await overflow(page), 0)
      assert.deepEqual(await axe(page), [])
    })
  }

  it('so is one of 320 pixels', async (t) => {
    const page = await organization(t, 'cyberdyne', { viewport: { width: 320, height: 640 }, isMobile: true })
    assert.equal(await overflow(page), 0)
  })
})
