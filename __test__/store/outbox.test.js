'use strict'

const assert = require('node:assert/strict')
const { once } = require('node:events')
const fs = require('node:fs')
const { join } = require('node:path')
const { test } = require('node:test')

const { defer, directory, message, open, optionsFor, PATIENCE_MS, Sender, simulate, start, until } = require('./support.js')

async function letterIds(sender) {
  const ids = []
  for await (const letter of sender.deadLetters()) ids.push(letter.id)
  return ids
}

test('what one sender accepts, the next one delivers: in order, and told by events', async (t) => {
  const simulator = await simulate(t, { refuse: true })
  const options = optionsFor(simulator, join(directory(t), 'outbox.db'))
  const first = await Sender.open(options)
  assert.equal(first.recovered, 0)
  for (let seq = 1; seq <= 30; seq++) await first.enqueue(message(`m${seq}`, `c${seq % 3}`, seq))
  assert.deepEqual(await first.close({ timeoutMs: 0 }), { undelivered: 30 })

  await simulator.set({ refuse: false })
  const second = await open(t, options)
  const delivered = new Set()
  second.on('delivered', ({ id }) => delivered.add(id))
  assert.equal(second.recovered, 30)
  await second.drain({ timeoutMs: PATIENCE_MS })
  assert.equal(delivered.size, 30)
  const { orderViolations, uniqueIds, duplicates } = simulator.ledger()
  assert.deepEqual({ orderViolations, uniqueIds, duplicates }, { orderViolations: 0, uniqueIds: 30, duplicates: 0 })
})

test('a 429 stops what waits for the disk or a connection, too', async (t) => {
  // The pause outlasts the test: once nothing is under way, nothing more comes.
  const simulator = await simulate(t, { quota: { requests: 40, perMs: 60_000, algorithm: 'sliding-log' }, latencyMs: 20 })
  const sender = await open(t, optionsFor(simulator, join(directory(t), 'outbox.db'), { connections: { max: 8 } }))
  await Promise.all(Array.from({ length: 100 }, (_, n) => sender.enqueue(message(`m${n}`, `c${n}`, 1))))
  await until(() => sender.stats().pause !== null && sender.stats().queue.inFlight === 0)
  const { accepted, refused } = simulator.ledger()
  assert.equal(accepted, 40)
  assert.ok(refused > 0 && refused <= 8, `${refused} requests were refused, with 8 connections`)
  assert.equal(sender.stats().queue.messages, 60)
})

test('what has not left when a sender closes is no unknown outcome', async (t) => {
  const simulator = await simulate(t)
  const options = optionsFor(simulator, join(directory(t), 'outbox.db'), { retry: { ambiguous: 'fail' }, connections: { max: 1 } })
  const first = await Sender.open(options)
  // With a token in hand, and a connection.
  await first.send(message('warm', 'c', 1))
  await simulator.set({ latencyMs: 60_000, arrivalMs: 0 })
  await Promise.all(Array.from({ length: 20 }, (_, n) => first.enqueue(message(`m${n}`, `c${n}`, 1))))
  await until(() => simulator.ledger().arrivals === 2 && first.stats().queue.inFlight === 1)
  await first.close({ timeoutMs: 0 })
  await simulator.set({ latencyMs: null, arrivalMs: null })
  const second = await open(t, options)
  await second.drain({ timeoutMs: PATIENCE_MS })
  assert.deepEqual([(await letterIds(second)).length, second.stats().counters.delivered], [1, 19])
})

test('an id stays known: waiting, delivered and dead ones are duplicates after a restart', async (t) => {
  const simulator = await simulate(t, { poisonText: 'poison' })
  const options = optionsFor(simulator, join(directory(t), 'outbox.db'))
  const first = await Sender.open(options)
  await first.send(message('delivered', 'c1', 1))
  await assert.rejects(first.send({ ...message('dead', 'c2', 1), body: { text: 'poison' } }), { code: 'DELIVERY_REJECTED' })
  await first.enqueue({ ...message('waiting', 'c3', 1), notBefore: Date.now() + 3_600_000 })
  await first.close({ timeoutMs: 0 })

  const second = await open(t, options)
  assert.equal(second.recovered, 1)
  assert.deepEqual(await second.enqueue(message('delivered', 'c1', 1)), { id: 'delivered', duplicate: true })
  assert.deepEqual(await second.enqueue(message('waiting', 'c3', 1)), { id: 'waiting', duplicate: true })
  const receipt = await second.send(message('delivered', 'c1', 1))
  assert.deepEqual([receipt.status, receipt.duplicate], [200, true])
  await assert.rejects(second.send(message('dead', 'c2', 1)), { code: 'DELIVERY_REJECTED' })
  assert.equal(simulator.ledger().uniqueIds, 1)
  assert.deepEqual((await second.explain('waiting')).state, 'queued')
})

test('an id is forgotten after dedupeMs, in the next run as in the first', async (t) => {
  const simulator = await simulate(t)
  const options = optionsFor(simulator, join(directory(t), 'outbox.db'))
  const first = await Sender.open(options)
  await first.send(message('m', 'c', 1))
  await first.close()
  const known = async (dedupeMs) => {
    const sender = await Sender.open({ ...options, dedupeMs })
    const { duplicate } = await sender.enqueue(message('m', 'c', 1))
    await sender.close({ timeoutMs: PATIENCE_MS })
    return duplicate
  }
  assert.deepEqual([await known(60_000), await known(1)], [true, false])
})

test('dead letters outlive the process, and can be redriven and dropped in the next', async (t) => {
  const simulator = await simulate(t, { poisonText: 'poison' })
  const options = optionsFor(simulator, join(directory(t), 'outbox.db'))
  const bad = (id) => ({ id, conversationId: id, body: { text: 'poison' } })
  const first = await Sender.open(options)
  for (const id of ['a', 'b', 'c']) await assert.rejects(first.send(bad(id)), { code: 'DELIVERY_REJECTED' })
  await first.drop('a')
  await first.close()

  await simulator.set({ poisonText: null })
  const second = await Sender.open(options)
  assert.deepEqual(await letterIds(second), ['b', 'c'])
  await second.redrive('b')
  await second.drain({ timeoutMs: PATIENCE_MS })
  await second.close()

  const third = await open(t, options)
  assert.equal(third.recovered, 0)
  assert.deepEqual(await letterIds(third), ['c'])
  assert.equal((await third.enqueue(message('b', 'b', 1))).duplicate, true)
})

test('a pause that is in force stays in force', async (t) => {
  const simulator = await simulate(t, { quota: { requests: 1, perMs: 60_000 } })
  const options = optionsFor(simulator, join(directory(t), 'outbox.db'))
  const first = await Sender.open(options)
  const throttled = new Promise((resolve) => first.once('throttled', resolve))
  await first.send(message('m1', 'c', 1))
  const second = first.send(message('m2', 'c', 2))
  const { untilMs } = await throttled
  await first.close({ timeoutMs: 0 })
  await assert.rejects(second, { code: 'CLOSED' })

  const next = await open(t, options)
  const { pause } = next.stats()
  assert.ok(Math.abs(pause.untilMs - untilMs) < 1_000, `${pause.untilMs} and ${untilMs}`)
  assert.equal(simulator.ledger().refused, 1)
})

test('what was learned of the quota is not learned again', async (t) => {
  const simulator = await simulate(t, { quota: { requests: 40, perMs: 1_000 }, headers: 'ietf' })
  const options = optionsFor(simulator, join(directory(t), 'outbox.db'), { rateLimit: 'learn' })
  const learned = ({ quota }) => quota.windows.filter(({ why }) => why !== 'start').map(({ requests, perMs }) => ({ requests, perMs }))
  const first = await Sender.open(options)
  await Promise.all(Array.from({ length: 60 }, (_, n) => first.send(message(`m${n}`, `c${n}`, n))))
  assert.deepEqual(learned(first.stats()), [{ requests: 40, perMs: 1_000 }])
  await first.close()

  const second = await open(t, options)
  assert.deepEqual(learned(second.stats()), [{ requests: 40, perMs: 1_000 }])
})

test('the files are for their owner alone', { skip: process.platform === 'win32' }, async (t) => {
  const simulator = await simulate(t)
  const folder = directory(t)
  const umask = process.umask(0)
  defer(t, () => process.umask(umask))
  const sender = await open(t, optionsFor(simulator, join(folder, 'outbox.db')))
  await sender.enqueue(message('m', 'c', 1))
  const files = fs.readdirSync(folder)
  assert.ok(files.includes('outbox.db') && files.length > 1, files.join())
  for (const file of files) assert.equal(fs.statSync(join(folder, file)).mode & 0o777, 0o600, file)
})

test('one process owns a file; a dead one leaves it', async (t) => {
  const simulator = await simulate(t)
  const options = optionsFor(simulator, join(directory(t), 'outbox.db'))
  const { child, first, ended } = start('own.js', { options })
  await first
  await assert.rejects(Sender.open(options), (error) => {
    assert.equal(error.name, 'StoreError')
    assert.equal(error.code, 'STORE_LOCKED')
    assert.match(error.message, new RegExp(`\\b${child.pid}\\b`))
    return true
  })
  child.kill('SIGKILL')
  await ended
  const sender = await Sender.open(options)
  await sender.send(message('m', 'c', 1))
  await sender.close()
})

test('with ?wait= an opening waits for the owner to close, and no longer than that', { skip: process.platform === 'win32' }, async (t) => {
  const simulator = await simulate(t)
  const options = optionsFor(simulator, join(directory(t), 'outbox.db'))
  const within = (wait) => ({ ...options, store: `${options.store}?wait=${wait}` })
  const { child, first, ended } = start('own.js', { options })
  await first
  await assert.rejects(Sender.open(within('50ms')), (error) => {
    assert.deepEqual([error.name, error.code], ['StoreError', 'STORE_LOCKED'])
    assert.match(error.message, new RegExp(`\\b${child.pid}\\b`))
    return true
  })
  for (const wait of ['', '10', 's', '-1s', '1.5s', '1h', '10S', ' 1s', '11min', '99999999999999999999s', '1s&wait=1s']) {
    await assert.rejects(Sender.open(within(wait)), { name: 'ConfigError', code: 'CONFIG_INVALID', field: 'store' }, wait)
  }
  let isOpen = false
  const opening = Sender.open(within('10min')).finally(() => {
    isOpen = true
  })
  await simulator.set({})
  assert.equal(isOpen, false)
  child.kill('SIGTERM')
  const sender = await opening
  await sender.send(message('m', 'c', 1))
  await sender.close()
  assert.equal((await ended).code, 0)
})

test('what stands in the way of a store is an error that says what to do', async (t) => {
  const simulator = await simulate(t)
  const folder = directory(t)
  const missing = join(folder, 'nowhere', 'outbox.db')
  await assert.rejects(Sender.open(optionsFor(simulator, missing)), (error) => {
    return error.code === 'STORE_MISSING' && error.message.includes(missing)
  })
  const noFile = join(folder, 'directory')
  fs.mkdirSync(noFile, { mode: 0o755 })
  await assert.rejects(Sender.open(optionsFor(simulator, noFile)), { name: 'StoreError', code: 'STORE_MISMATCH' })
  assert.deepEqual([fs.readdirSync(folder), fs.statSync(noFile).mode & 0o777], [['directory'], 0o755])
  const report = join(folder, 'report.csv')
  fs.writeFileSync(report, 'id;state\nm1;delivered\n')
  await assert.rejects(Sender.open(optionsFor(simulator, report)), (error) => {
    return error.code === 'STORE_MISMATCH' && error.message.includes('is not an outbox')
  })
  assert.equal(fs.readFileSync(report, 'utf8'), 'id;state\nm1;delivered\n')
})

test('a damaged file is set aside whole, and what can be read of it goes on', async (t) => {
  const simulator = await simulate(t)
  const folder = directory(t)
  const file = join(folder, 'outbox.db')
  const options = optionsFor(simulator, file)
  await (await Sender.open(options)).close()
  const damaged = fs.readFileSync(file)
  damaged.fill('damaged ', 0, 4_096)
  fs.writeFileSync(file, damaged)
  const sender = await open(t, options)
  await sender.send(message('m', 'c', 1))
  const aside = fs.readdirSync(folder).filter((name) => /^outbox\.db\.corrupt-[^-]*$/.test(name))
  assert.equal(aside.length, 1)
  assert.ok(fs.readFileSync(join(folder, aside[0])).equals(damaged))
  assert.deepEqual(sender.stats().store, { recovered: 0, unreadable: 0, setAside: join(folder, aside[0]), problem: null })
})

test('rows below a lost page are recovered, and a replaced file is reported by an event', async (t) => {
  const simulator = await simulate(t)
  const folder = directory(t)
  const file = join(folder, 'outbox.db')
  const options = optionsFor(simulator, file)
  const first = await Sender.open(options)
  await Promise.all(
    Array.from({ length: 200 }, (_, index) => first.enqueue({ ...message(`m${index}`, 'c', index), notBefore: Date.now() + 3_600_000 })),
  )
  await first.close({ timeoutMs: 0 })
  const bytes = fs.readFileSync(file)
  // The root of the messages, which has no rows itself.
  bytes.fill(0xaa, 3 * 4_096, 4 * 4_096)
  fs.writeFileSync(file, bytes)
  const sender = await open(t, options)
  const reported = once(sender, 'outage')
  assert.equal(sender.recovered, 200)
  const { setAside, unreadable, unreadablePages } = sender.stats().store
  assert.ok(fs.readFileSync(setAside).equals(bytes))
  assert.deepEqual([unreadable, unreadablePages], [0, undefined])
  const [{ reason, message: text, open: isOpen }] = await reported
  assert.deepEqual([reason, isOpen], ['store', false])
  assert.ok(text.includes(setAside), text)
})

test('senders of one organization share the file as they share the engine', async (t) => {
  const simulator = await simulate(t)
  const options = optionsFor(simulator, join(directory(t), 'outbox.db'))
  const [one, two] = await Promise.all([open(t, options), open(t, options)])
  await Promise.all([one.send(message('m1', 'c', 1)), two.enqueue(message('m2', 'd', 1))])
  await one.drain({ timeoutMs: PATIENCE_MS })
  assert.equal(simulator.ledger().uniqueIds, 2)
  assert.equal(one.stats().store.problem, null)
})
