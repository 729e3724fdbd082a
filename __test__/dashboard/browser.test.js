'use strict'

// The page in a real browser, against what the simulators and the senders say.

const assert = require('node:assert/strict')
const { after, before, describe, it } = require('node:test')

const { message, open, simulate } = require('../http/support.js')
const { startBrowser } = require('../browser.js')
const { settled, until } = require('../until.js')
const { factOf, openPage, rowOf } = require('./pages.js')
const { dashboardOf } = require('./support.js')

let browser

before(async () => {
  browser = await startBrowser()
})

after(() => browser.close())

const nameOf = (sender) => sender.stats().organization

describe('the list', () => {
  it('shows of each organization what its sender and its server say, those in trouble first', async (t) => {
    const calm = await simulate(t)
    const sending = await open(t, calm, { organization: 'calm', rateLimit: { requests: 50, perMs: 1_000 } })
    const limited = await open(t, await simulate(t, { quota: { requests: 1, perMs: 600_000 } }), { organization: 'limited' })
    const refused = await open(t, await simulate(t, { credentials: { clientId: 'x', clientSecret: 'y' } }), { organization: 'refused' })
    const buried = await open(t, await simulate(t, { poisonText: 'text of' }), { organization: 'buried' })
    const held = await open(t, calm, { organization: 'held' })
    const { url } = await dashboardOf(t, [sending, held, buried, limited, refused])
    await Promise.all(['a', 'b', 'c'].map((id) => sending.send(message(id))))
    for (const id of ['a', 'b', 'c']) await limited.enqueue(message(id))
    await refused.enqueue(message('a'))
    await Promise.allSettled(['a', 'b'].map((id) => buried.send(message(id))))
    await held.pause({ forMs: 3_600_000 })
    const page = await openPage(t, browser, url)
    await page.getByText('Live', { exact: true }).waitFor()

    const row = (name, holds) => until(async () => ((await rowOf(page, name)) && holds(await rowOf(page, name)) ? rowOf(page, name) : null))
    const down = await row('refused', ({ State }) => State.startsWith('Down'))
    assert.match(down.State, /The credentials are refused .*for \d+ s/)
    assert.equal(down.Waiting, '1')
    const paused = await row('limited', (texts) => {
      const { queue, counters } = limited.stats()
      return texts.State.startsWith('Trouble') && texts.Waiting === String(queue.messages) && texts['429s'] === String(counters.throttled)
    })
    assert.match(paused.State, /429 for the organization|429 that names no limit/)
    assert.match(paused.State, /\d min (\d+ s )?left/)
    const letters = await row('buried', (texts) => texts['Dead letters'] === '2 2 rejected')
    assert.match(letters.State, /2 dead letters/)
    const byHand = await row('held', ({ State }) => State.startsWith('Paused'))
    assert.match(byHand.State, /Paused by an operator.*59 min \d+ s left/)
    const fine = await row('calm', ({ State }) => State === 'Idle' || State === 'Sending')
    assert.match(fine.Requests, /of 50 per s/)
    assert.notEqual(fine['Delay p50 / p99'], '–')
    assert.equal(fine.Store, 'memory')

    const order = await page.locator('table.organizations tbody th').allTextContents()
    assert.equal(order[0], 'refused')
    assert.deepEqual(order.slice(1, 3).sort(), ['buried', 'limited'])
    assert.deepEqual(order.slice(3), ['held', 'calm'])
    assert.equal(await page.title(), '(3) Spillway')
    assert.equal(await factOf(page, 'In trouble'), '3')
    assert.equal(await factOf(page, 'Dead letters'), '2')

    await page.getByLabel('Filter').fill('LIM')
    await until(async () => (await page.locator('table.organizations tbody tr').count()) === 1)
    await page.getByLabel('Filter').fill('')
    await page.getByLabel('Only in trouble').check()
    await until(async () => (await page.locator('table.organizations tbody tr').count()) === 3)
  })

  it('shows hundreds', async (t) => {
    const simulator = await simulate(t)
    const senders = await Promise.all(Array.from({ length: 300 }, () => open(t, simulator)))
    const { url } = await dashboardOf(t, senders)
    const page = await openPage(t, browser, url)
    await until(async () => (await page.locator('table.organizations tbody tr').count()) === 300)
    assert.equal(await factOf(page, 'Organizations'), '300')
  })
})

describe('an organization', () => {
  it('shows counters as the server has counted, and plots', async (t) => {
    const simulator = await simulate(t)
    const sender = await open(t, simulator)
    const { url } = await dashboardOf(t, sender)
    const page = await openPage(t, browser, `${url}#/organization/${nameOf(sender)}`)
    await Promise.all(Array.from({ length: 25 }, (_, seq) => sender.send(message(`m${seq}`))))
    const { accepted, arrivals } = simulator.ledger()
    assert.equal(accepted, 25)
    await until(async () => (await factOf(page, 'Delivered')) === String(accepted))
    assert.equal(await factOf(page, 'Requests sent'), `${arrivals}, 0 of them retries`)
    assert.equal(await factOf(page, 'Quota'), '100,000 per 1 s (configured)')
    await until(async () => (await page.locator('figure canvas').count()) === 4)
    const label = await page.getByRole('img', { name: /^Requests per second, latest: sent / }).getAttribute('aria-label')
    assert.match(label, /quota 100,000/)
  })

  it('shows what waits longest and why, and what is on the wire', async (t) => {
    const sender = await open(t, await simulate(t, { latencyMs: 600_000, authRequired: false }), {
      connections: { max: 1 },
      credentials: { accessToken: 'token' },
    })
    await sender.enqueue(message('a-1', 'first'))
    await sender.enqueue(message('b-1', 'second'))
    const { url } = await dashboardOf(t, sender)
    const page = await openPage(t, browser, `${url}#/organization/${nameOf(sender)}`)
    const waiting = page.getByRole('region', { name: 'Waiting longest' })
    await waiting.getByRole('row', { name: /^first 1 .* on the wire/ }).waitFor()
    await until(async () => {
      const { reasons } = await sender.explain('b-1')
      const text = reasons.map(({ detail }) => detail).join('; ')
      return (await waiting.getByRole('row', { name: /^second / }).textContent()).includes(text)
    })
    await page
      .getByRole('region', { name: 'On the wire' })
      .getByRole('row', { name: /^POST .* first 1 1 / })
      .waitFor()
  })

  it('is left and entered by the keyboard alone', async (t) => {
    const sender = await open(t, await simulate(t))
    const { url } = await dashboardOf(t, sender, { readOnly: false })
    const page = await openPage(t, browser, url)
    const link = page.getByRole('link', { name: nameOf(sender) })
    await link.waitFor()
    const focused = () => page.evaluate(() => document.activeElement.textContent || document.activeElement.id)
    const tabTo = async (text) => {
      for (let steps = 0; (await focused()) !== text; steps++) {
        assert.ok(steps < 30, `never at ${text}`)
        await page.keyboard.press('Tab')
      }
    }
    await tabTo(nameOf(sender))
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name: nameOf(sender) }).waitFor()
    await page.getByRole('button', { name: 'Pause…' }).waitFor()
    await tabTo('Pause…')
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'hidden' })
    assert.equal(await focused(), 'Pause…', 'the focus is where it was')
    assert.equal(sender.stats().pause, null)
  })

  it('connects again by itself when the service has restarted, and acts', async (t) => {
    const simulator = await simulate(t)
    const sender = await open(t, simulator)
    const first = await dashboardOf(t, sender, { readOnly: false })
    const page = await openPage(t, browser, `${first.url}#/organization/${nameOf(sender)}`)
    await page.getByRole('button', { name: 'Pause…' }).waitFor()
    first.dashboard.close()
    await first.close()
    await page.getByText('Reconnecting…').waitFor()
    await sender.send(message('meanwhile'))
    await dashboardOf(t, sender, { readOnly: false }, { port: first.port })
    await page.getByText('Live', { exact: true }).waitFor()
    await until(async () => (await factOf(page, 'Delivered')) === '1')
    await page.getByRole('button', { name: 'Pause…' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Pause' }).click()
    await until(() => sender.stats().pause?.reason === 'operator')
  })
})

describe('operators', () => {
  async function buried(t, more) {
    const simulator = await simulate(t, { poisonText: 'text of' })
    const sender = await open(t, simulator)
    await Promise.allSettled(['a', 'b', 'c'].map((id) => sender.send(message(id, id))))
    const { url } = await dashboardOf(t, sender, { readOnly: false })
    const page = await openPage(t, browser, `${url}#/organization/${nameOf(sender)}`, more)
    const letters = page.getByRole('region', { name: 'Dead letters' })
    await letters.getByRole('row', { name: /^a / }).waitFor()
    return { simulator, sender, page, letters, dialog: page.getByRole('dialog') }
  }

  it('pause for a while, and resume', async (t) => {
    const sender = await open(t, await simulate(t))
    const { url } = await dashboardOf(t, sender, { readOnly: false })
    const page = await openPage(t, browser, `${url}#/organization/${nameOf(sender)}`)
    const dialog = page.getByRole('dialog')
    const done = new Promise((resolve) => sender.once('operator', resolve))
    await page.getByRole('button', { name: 'Pause…' }).click()
    await dialog.getByLabel('For').selectOption('1 hour')
    await dialog.getByRole('button', { name: 'Pause' }).click()
    assert.deepEqual([(await settled(done)).action, (await done).forMs], ['pause', 3_600_000])
    await page.getByText(`${nameOf(sender)} is paused.`).waitFor()
    await page
      .getByRole('region', { name: 'Pauses and outages' })
      .getByRole('row', { name: /^pause by hand organization operator .*59 min \d+ s left/ })
      .waitFor()
    await page.locator('.heading').getByRole('button', { name: 'Resume…' }).click()
    await dialog.getByRole('button', { name: 'Resume' }).click()
    await until(() => sender.stats().pause === null)
    await page.getByText('Nothing is shut.').waitFor()
    await page
      .getByRole('region', { name: 'Done by operators' })
      .getByRole('row', { name: /pause for 1 h/ })
      .waitFor()
  })

  it('send one dead letter again, drop one, and then the rest; each is asked about once', async (t) => {
    const { simulator, sender, page, letters, dialog } = await buried(t)
    await letters.getByRole('button', { name: 'Drop a', exact: true }).click()
    await dialog.getByRole('button', { name: 'Cancel' }).click()
    assert.equal(sender.stats().queue.deadLetters, 3)

    await letters.getByRole('button', { name: 'Drop a', exact: true }).click()
    await dialog.getByRole('button', { name: 'Drop' }).click()
    await letters.getByRole('row', { name: /^a / }).waitFor({ state: 'detached' })
    assert.equal(sender.stats().queue.deadLetters, 2)

    await simulator.set({ poisonText: null })
    await letters.getByRole('button', { name: 'Send again: b', exact: true }).click()
    await dialog.getByRole('button', { name: 'Send again' }).click()
    await until(() => simulator.ledger().accepted === 1)

    await letters.getByRole('button', { name: 'Send all again…' }).click()
    await dialog.getByRole('button', { name: 'Send again' }).click()
    await page.getByText('1 message wait again.').waitFor()
    await until(() => simulator.ledger().accepted === 2)
    await letters.getByText('There are none.').waitFor()
    assert.deepEqual(sender.stats().queue.deadLetters, 0)
  })

  it('drop all of a reason', async (t) => {
    const { sender, page, letters, dialog } = await buried(t)
    await letters.getByLabel('Show').selectOption('rejected')
    await letters.getByRole('button', { name: 'Drop all…' }).click()
    await dialog.getByText('Drop all dead letters with the reason rejected?').waitFor()
    await dialog.getByRole('button', { name: 'Drop' }).click()
    await page.getByText('3 dead letters dropped.').waitFor()
    assert.equal(sender.stats().queue.deadLetters, 0)
  })

  it('see why something failed, and nothing to press where they may only look', async (t) => {
    const { sender, letters, dialog, page } = await buried(t, { expected: /status of 404/ })
    await sender.drop('a')
    await letters.getByRole('button', { name: 'Send again: a', exact: true }).click()
    await dialog.getByRole('button', { name: 'Send again' }).click()
    await dialog.getByRole('alert').filter({ hasText: 'a' }).waitFor()
    await page.keyboard.press('Escape')

    const { url } = await dashboardOf(t, sender)
    const reading = await openPage(t, browser, `${url}#/organization/${nameOf(sender)}`)
    await reading.getByRole('region', { name: 'Dead letters' }).getByRole('row', { name: /^b / }).waitFor()
    assert.deepEqual(await reading.getByRole('button').allTextContents(), [])
  })
})
