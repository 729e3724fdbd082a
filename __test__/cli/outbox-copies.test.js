'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { join } = require('node:path')
const { test } = require('node:test')

const { directory, message, open, optionsFor, PATIENCE_MS, Sender, simulate } = require('../store/support.js')
const { assertEnd, run } = require('./support.js')

async function outbox(args, code = 0) {
  const end = await run(['outbox', ...args])
  assertEnd(end, code)
  return end
}

test('a backup of a running sender, marked as sent, sends nothing again; what came later is sent', async (t) => {
  const simulator = await simulate(t, { refuse: true })
  const folder = directory(t)
  const file = join(folder, 'outbox.db')
  const options = optionsFor(simulator, file)
  const first = await Sender.open(options)
  for (let seq = 1; seq <= 20; seq++) await first.enqueue(message(`m${seq}`, `c${seq % 3}`, seq))
  await first.enqueue({ ...message('scheduled', 'c9', 1), notBefore: Date.now() + 3_600_000 })

  const target = join(folder, 'backup.db')
  const umask = process.umask(0)
  const { stdout } = await outbox([file, 'backup', target, '--json'])
  process.umask(umask)
  assert.deepEqual(JSON.parse(stdout), { target, bytes: fs.statSync(target).size })
  if (process.platform !== 'win32') assert.equal(fs.statSync(target).mode & 0o777, 0o600)
  assert.match((await outbox([file, 'backup', target], 1)).stderr, /there is a file of this name/)
  assert.deepEqual(
    fs.readdirSync(folder).filter((name) => name.startsWith('backup')),
    ['backup.db'],
  )

  const takenAt = Date.now()
  await simulator.set({ refuse: false })
  await Promise.all(Array.from({ length: 20 }, (_, n) => first.send(message(`m${n + 1}`, `c${(n + 1) % 3}`, n + 1))))
  assert.match((await outbox([file, 'mark-sent', '--until', String(takenAt)], 1)).stderr, /is in use by process/)
  await first.close({ timeoutMs: 0 })

  // The disk is lost, and the backup takes its place.
  for (const name of fs.readdirSync(folder).filter((name) => name.startsWith('outbox.db'))) fs.rmSync(join(folder, name))
  fs.copyFileSync(target, file)
  assert.match((await outbox([file, 'mark-sent', '--until', new Date(takenAt).toISOString()])).stdout, /^20 messages are marked as sent/)
  assert.deepEqual(JSON.parse((await outbox([file, 'mark-sent', '--until', String(takenAt), '--json'])).stdout), { marked: 0, damaged: 0 })
  const check = JSON.parse((await outbox([file, 'check', '--json'])).stdout)
  assert.deepEqual([check.ok, check.checked.messages, check.checked.receipts], [true, 1, 20])

  const second = await open(t, options)
  assert.equal(second.recovered, 1)
  const known = await second.send(message('m7', 'c1', 7))
  assert.deepEqual([known.duplicate, known.attempts], [true, 0])
  await second.send(message('later', 'c1', 21))
  const { uniqueIds, duplicates } = simulator.ledger()
  assert.deepEqual({ uniqueIds, duplicates }, { uniqueIds: 21, duplicates: 0 })
  assert.equal((await second.explain('scheduled')).state, 'queued')
})

test('files that were set aside are listed, removed when somebody asks, and after 30 days', async (t) => {
  const simulator = await simulate(t)
  const folder = directory(t)
  const file = join(folder, 'outbox.db')
  const day = (ago) => `${new Date(Date.now() - ago * 86_400_000).toISOString().replace(/[-:]|\.\d+/g, '')}`
  const names = { old: `outbox.db.corrupt-${day(31)}`, young: `outbox.db.corrupt-${day(29)}`, younger: `outbox.db.corrupt-${day(1)}` }
  const others = ['outbox.db.corrupt-note.txt', `other.db.corrupt-${day(99)}`]
  for (const name of [...Object.values(names), ...others]) fs.writeFileSync(join(folder, name), 'damaged', { mode: 0o600 })
  fs.writeFileSync(join(folder, `${names.young}-wal`), 'its log')
  assert.match(
    (await outbox([file, 'set-aside'])).stdout,
    new RegExp(`${names.old} +damaged +\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ +7\\n`),
  )
  const list = async () =>
    (await outbox([file, 'set-aside', '--json'])).stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line))
  assert.deepEqual(
    (await list()).map(({ name, damaged, bytes }) => [name, damaged, bytes]),
    [
      [names.old, true, 7],
      [names.young, true, 14],
      [names.younger, true, 7],
    ],
  )

  const sender = await open(t, optionsFor(simulator, file))
  const deadline = Date.now() + PATIENCE_MS
  while (fs.existsSync(join(folder, names.old)) && Date.now() < deadline) await sender.send({ conversationId: 'c', body: { text: 'x' } })
  assert.deepEqual(
    (await list()).map(({ name }) => name),
    [names.young, names.younger],
  )

  await outbox([file, 'discard', names.young])
  assert.ok(!fs.existsSync(join(folder, `${names.young}-wal`)))
  assert.match((await outbox([file, 'discard', names.young], 1)).stderr, /no file that was set aside has the id/)
  assert.match((await outbox([file, 'discard', 'outbox.db'], 1)).stderr, /no file that was set aside/)
  await outbox([file, 'discard', '--all'])
  assert.equal((await outbox([file, 'set-aside'])).stdout, 'no file is set aside\n')
  assert.deepEqual(
    others.filter((name) => !fs.existsSync(join(folder, name))),
    [],
  )
})

test('the verbs on copies refuse what makes no sense', async () => {
  for (const [args, problem] of [
    [['f', 'backup'], 'backup needs the TARGET'],
    [['f', 'mark-sent'], 'mark-sent needs --until TIME'],
    [['f', 'mark-sent', '--until', 'yesterday'], 'a time that is over'],
    [['f', 'mark-sent', '--until', '2999-01-01T00:00:00Z'], 'a time that is over'],
    [['f', 'discard'], 'discard needs the NAME'],
    [['f', 'ls', '--until', '1'], 'ls takes no --until'],
  ]) {
    assert.match((await outbox(args, 2)).stderr, new RegExp(problem), args.join(' '))
  }
})
