'use strict'

// Several copies of the package in one process: one budget, or an error that names them.

const assert = require('node:assert/strict')
const { constants, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { after, before, describe, it } = require('node:test')

const { Simulator } = require('../../index.js')
const { assertEnd, optionsFor, ROOT, run } = require('./support.js')

const { files, version } = require('../../package.json')

describe('two copies of the package', () => {
  let simulator
  let other

  before(async () => {
    simulator = await Simulator.start({ authRequired: false })
    other = mkdtempSync(join(tmpdir(), 'spillway-copy-'))
    const addons = readdirSync(ROOT).filter((name) => name.endsWith('.node'))
    const code = files.filter((name) => /^lib$|\.js$/.test(name))
    // No links: the loader of the system would take them for one.
    for (const name of ['package.json', ...code, ...addons]) {
      cpSync(join(ROOT, name), join(other, name), { recursive: true, mode: constants.COPYFILE_FICLONE })
    }
  })
  after(async () => {
    rmSync(other, { recursive: true, force: true })
    await simulator.close()
  })

  async function act(name, options) {
    const { url } = simulator
    const end = await run('copies.js', { other, url, options: optionsFor(url, options), act: name })
    assertEnd(end, { code: 0 })
    return JSON.parse(end.stdout)
  }

  function be(version) {
    const path = join(other, 'package.json')
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), version }))
  }

  it('of one version share the engine, in one thread and in several', async () => {
    const { delivered, heard, conflict, worker } = await act('budget')
    assert.deepEqual(delivered, [2, 2])
    assert.deepEqual(heard, ['mine', 'of the worker', 'theirs'])
    assert.deepEqual([conflict.code, conflict.field], ['CONFIG_CONFLICT', 'ordering'])
    assert.deepEqual(worker, { delivered: 3 })
  })

  it('of which a worker thread has loaded one first share it, too', { skip: process.platform !== 'linux' }, async () => {
    const answer = await act('worker', { rateLimit: { requests: 1, perMs: 600_000 } })
    assert.deepEqual(answer, { worker: { delivered: 1 }, available: 0 })
  })

  it('take senders and errors of one another', async () => {
    assert.deepEqual(await act('adapters'), {
      status: 200,
      closed: { name: 'TypeError', message: 'fetch failed: the sender is closed', cause: 'CLOSED' },
      instances: [true, true, true],
    })
  })

  it('of two versions: the second is refused, and named', async (t) => {
    be('99.0.0')
    t.after(() => be(version))
    const { sender, simulator, worker } = await act('version')
    for (const { code, message } of [sender, simulator, worker]) {
      assert.equal(code, 'COPY_CONFLICT', message)
      for (const text of ['99.0.0', version, other, ROOT, 'npm dedupe']) assert.ok(message.includes(text), message)
    }
  })
})
