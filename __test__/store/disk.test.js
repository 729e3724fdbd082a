'use strict'

const assert = require('node:assert/strict')
const { join } = require('node:path')
const { test } = require('node:test')

const { makeDisk, missing } = require('./disk.js')
const { assertEnd, open, optionsFor, PATIENCE_MS, simulate } = require('./support.js')

if (missing !== null) console.log(`store/disk.test.js: not run, since ${missing}`)
else {
  test('a disk that hangs: it is reported, holds up only its own sender, and all resumes when it answers', async (t) => {
    const simulator = await simulate(t)
    const disk = makeDisk(t)
    const options = optionsFor(simulator, join(disk.folder, 'outbox.db'))
    const elsewhere = optionsFor(simulator, '', { store: 'memory' })
    const beside = optionsFor(simulator, join(disk.folder, 'beside.db'))
    const ended = await disk.run('hang.js', { options, elsewhere, beside })
    assertEnd(ended, { code: 0 })
    const { outages, problem, reasons, accepted, problemAfterwards } = JSON.parse(ended.lines[0])
    assert.deepEqual(
      outages.slice(0, 2).map(({ reason, open: begins }) => [reason, begins]),
      [
        ['store', true],
        ['store', false],
      ],
    )
    assert.match(outages[0].message, /outbox\.db has not answered for 3 s.*hangs/)
    assert.equal(problem.code, 'STORE_FAILED')
    assert.ok(reasons.includes('store'), String(reasons))
    assert.deepEqual([accepted, problemAfterwards], ['in-the-hang', null])

    // The one that was never accepted may be in the file all the same: no write can be taken back.
    const next = await open(t, options)
    assert.ok(next.recovered <= 1, `${next.recovered} recovered`)
    await next.drain({ timeoutMs: PATIENCE_MS })
    const { uniqueIds, duplicates } = simulator.ledger()
    assert.deepEqual({ uniqueIds, duplicates }, { uniqueIds: 5 + next.recovered, duplicates: 0 })
  })

  test('a disk that hangs while a file is opened: open rejects, and goes well once the disk answers', async (t) => {
    const simulator = await simulate(t)
    const disk = makeDisk(t)
    const ended = await disk.run('hang-opening.js', { options: optionsFor(simulator, join(disk.folder, 'outbox.db')) })
    assertEnd(ended, { code: 0 })
    for (const { name, code, message } of JSON.parse(ended.lines[0])) {
      assert.deepEqual([name, code], ['StoreError', 'STORE_FAILED'], message)
      assert.match(message, /outbox\.db could not be opened, since its disk .* has not answered for 4 s/)
    }
    assert.equal(simulator.ledger().uniqueIds, 1)
  })

  for (const [name, mode, text] of [
    ['full', 'f', /the disk is full/],
    ['beyond its quota', 'q', /this user's share of the disk is used up/],
    ['limited in the size of a file', 'b', /a file has reached the limit on its size/],
  ]) {
    test(`a disk that is ${name} is STORE_FULL, while a file is opened, written, or replaced`, async (t) => {
      const simulator = await simulate(t)
      const disk = makeDisk(t)
      const options = optionsFor(simulator, join(disk.folder, 'outbox.db'))
      const ended = await disk.run('full.js', { options, mode })
      assertEnd(ended, { code: 0 })
      const { errors, outages, isLeft, setAside } = JSON.parse(ended.lines[0])
      for (const when of ['opening', 'writing', 'problem', 'reopening', 'swapping']) {
        assert.equal(errors[when]?.code, 'STORE_FULL', `${when}: ${errors[when]?.message}`)
        assert.match(errors[when].message, text, when)
        if (when !== 'problem') assert.equal(errors[when].name, 'StoreError', when)
      }
      assert.deepEqual(outages, [
        { reason: 'store', open: true },
        { reason: 'store', open: false },
      ])
      assert.ok(isLeft, 'a damaged file is left as it is while there is no room for another one')
      assert.match(setAside, /outbox\.db\.corrupt-/)
      assert.deepEqual(simulator.ledger().uniqueIds, 2)
    })
  }
}
