'use strict'

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const { join } = require('node:path')
const { test } = require('node:test')

const { defer, directory, message, open, optionsFor, PATIENCE_MS, Sender, simulate, until } = require('./support.js')

const MEGABYTE = 1_000_000

// Windows keeps the folder of an open file.
const keepsFolders = process.platform === 'win32'
if (!keepsFolders)
  test('a directory that vanishes: new messages are refused, accepted ones wait, and all goes on when it is back', async (t) => {
    const simulator = await simulate(t, { refuse: true })
    const folder = join(directory(t), 'store')
    fs.mkdirSync(folder)
    const options = optionsFor(simulator, join(folder, 'outbox.db'))
    const sender = await open(t, options)
    const outages = []
    sender.on('outage', (outage) => outages.push(outage))
    for (let seq = 1; seq <= 10; seq++) await sender.enqueue(message(`m${seq}`, `c${seq}`, seq))

    fs.rmSync(folder, { recursive: true })
    await assert.rejects(sender.enqueue(message('late', 'c', 1)), (error) => {
      assert.deepEqual([error.name, error.code], ['StoreError', 'STORE_MISSING'])
      assert.ok(error.message.includes(folder), error.message)
      return true
    })
    assert.equal(sender.stats().store.problem.code, 'STORE_MISSING')
    assert.equal(sender.stats().queue.messages, 10)

    fs.mkdirSync(folder)
    await until(() =>
      sender.enqueue(message('again', 'c', 2)).catch((error) => {
        if (error.code !== 'STORE_MISSING') throw error
      }),
    )
    assert.equal(sender.stats().store.problem, null)
    assert.deepEqual(
      outages.filter(({ reason }) => reason === 'store').map(({ open: begins }) => begins),
      [true, false],
    )
    await sender.close({ timeoutMs: 0 })

    await simulator.set({ refuse: false })
    const next = await open(t, options)
    assert.equal(next.recovered, 11)
    await next.drain({ timeoutMs: PATIENCE_MS })
    assert.equal(simulator.ledger().uniqueIds, 11)
  })

// Nobody creates files there, not even root; elsewhere there is no such place.
const READ_ONLY = { linux: '/sys/outbox.db' }[process.platform] ?? null

if (READ_ONLY !== null)
  test('a file that takes no writes is refused, with what to do', async (t) => {
    const simulator = await simulate(t)
    await assert.rejects(Sender.open(optionsFor(simulator, READ_ONLY)), { name: 'StoreError', code: 'STORE_READ_ONLY' })
  })

/** From now on no file of this process grows beyond so many bytes, whoever runs it: a disk that takes no more. */
function limitFiles(bytes) {
  return spawnSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:`]).status === 0
}

if (limitFiles('unlimited'))
  test('a disk that takes no more: what is accepted is sent once there is space, without a restart', async (t) => {
    defer(t, () => limitFiles('unlimited'))
    const simulator = await simulate(t, { refuse: true })
    const folder = directory(t)
    const sender = await open(t, optionsFor(simulator, join(folder, 'outbox.db')))
    const outages = []
    sender.on('outage', (outage) => outages.push(outage))
    limitFiles(MEGABYTE)
    const body = { text: 'x'.repeat(500) }
    let accepted = 0
    const refusal = await (async () => {
      for (; ; accepted++)
        await sender.enqueue({ id: `m${accepted}`, conversationId: `c${accepted % 50}`, body: { ...body, id: `m${accepted}` } })
    })().catch((error) => error)
    assert.deepEqual([refusal.name, refusal.code], ['StoreError', 'STORE_FULL'], refusal.message)
    // Each takes a page of the log, and they are more than fit in one log: it was checkpointed and restarted on the way.
    assert.ok(accepted > 2 * (MEGABYTE / 4_096), `${accepted} accepted`)
    assert.equal(sender.stats().store.problem.code, 'STORE_FULL')

    limitFiles('unlimited')
    await until(() => sender.stats().store.problem === null)
    await sender.enqueue(message('again', 'c', 1))
    await simulator.set({ refuse: false })
    await sender.drain({ timeoutMs: PATIENCE_MS })
    const { uniqueIds, duplicates } = simulator.ledger()
    assert.deepEqual({ uniqueIds, duplicates }, { uniqueIds: accepted + 1, duplicates: 0 })
    assert.deepEqual(
      outages.filter(({ reason }) => reason === 'store').map(({ open: begins }) => begins),
      [true, false],
    )
  })

test('space is given back after a peak', async (t) => {
  const simulator = await simulate(t, { refuse: true })
  const folder = directory(t)
  const file = join(folder, 'outbox.db')
  const sender = await open(t, optionsFor(simulator, file, { dedupeMs: 0 }))
  const body = { text: 'x'.repeat(2_000) }
  await Promise.all(Array.from({ length: 10_000 }, (_, n) => sender.enqueue({ id: `m${n}`, conversationId: `c${n % 500}`, body })))
  const bytes = () => fs.readdirSync(folder).reduce((sum, name) => sum + fs.statSync(join(folder, name)).size, 0)
  assert.ok(bytes() > 20 * MEGABYTE, `${bytes()} bytes for 20 MB of bodies`)

  await simulator.set({ refuse: false })
  await sender.drain({ timeoutMs: PATIENCE_MS })
  await until(() => fs.statSync(file).size < 8 * MEGABYTE)
  await sender.close()
  assert.ok(bytes() < 8 * MEGABYTE, `${bytes()} bytes for nothing`)
})

test('with durability=process-crash a message survives the process', async (t) => {
  const simulator = await simulate(t, { refuse: true })
  const options = optionsFor(simulator, `${join(directory(t), 'outbox.db')}?durability=process-crash`)
  const first = await Sender.open(options)
  await first.enqueue(message('m', 'c', 1))
  await first.close({ timeoutMs: 0 })
  const second = await open(t, options)
  assert.equal(second.recovered, 1)
})
