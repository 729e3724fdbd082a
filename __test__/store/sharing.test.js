'use strict'

// Senders of several organizations that name the same file.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { join } = require('node:path')
const { test } = require('node:test')

const { OutboxFile } = require('../../lib/cli/outbox-file.js')
const { assertEnd, directory, message, open, optionsFor, Sender, simulate, start, until } = require('./support.js')
const cli = require('../cli/support.js')

const MANY = 100
const KILLS = 5

/** The options of `count` organizations that share one file. */
const optionsForMany = (simulator, file, count, options) => Array.from({ length: count }, () => optionsFor(simulator, file, options))

/** What the system has for this process of the files in a folder, and of their threads. */
function system(folder) {
  const fds = fs.readdirSync('/proc/self/fd').map((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return ''
    }
  })
  const tasks = fs.readdirSync('/proc/self/task').map((task) => fs.readFileSync(`/proc/self/task/${task}/comm`, 'utf8').trim())
  return {
    descriptors: fds.filter((target) => target.startsWith(folder)).length,
    threads: tasks.filter((name) => name === 'spillway-store').length,
  }
}

test(`${MANY} organizations have one file, one thread and the descriptors of one`, { skip: process.platform !== 'linux' }, async (t) => {
  const simulator = await simulate(t)
  const folder = directory(t)
  const file = join(folder, 'outbox.db')
  const all = optionsForMany(simulator, file, MANY)
  const alone = await Sender.open(all[0])
  await alone.send(message('first', 'c', 0))
  const ofOne = system(folder)
  assert.equal(ofOne.threads, 1)
  const senders = [alone, ...(await Promise.all(all.slice(1).map((options) => open(t, options))))]
  // The same ids and conversations in each.
  await Promise.all(senders.flatMap((sender) => [1, 2, 3].map((seq) => sender.send(message(`m${seq}`, 'c', seq)))))
  assert.deepEqual(system(folder), ofOne)
  const later = { notBefore: Date.now() + 3_600_000 }
  await Promise.all(senders.map((sender, index) => sender.enqueue({ ...message('later', `c${index}`, 4), ...later })))

  // Half of them close and open again while the others send.
  const half = senders.slice(0, MANY / 2)
  const others = senders.slice(MANY / 2)
  await Promise.all([
    ...half.map((sender) => sender.close({ timeoutMs: 0 })),
    ...others.map((sender) => sender.send(message('m4', 'c', 5))),
  ])
  const again = await Promise.all(all.slice(0, MANY / 2).map((options) => open(t, options)))
  for (const sender of again) {
    assert.equal(sender.recovered, 1)
    const duplicate = await sender.send(message('m1', 'c', 1))
    assert.equal(duplicate.duplicate, true)
  }
  assert.deepEqual(system(folder), ofOne)
  await Promise.all([...again, ...others].map((sender) => sender.close({ timeoutMs: 0 })))
  assert.equal(system(folder).descriptors, 0)
  for (const [index, { organization }] of all.entries()) {
    const stats = new OutboxFile(file, { organization }).stats()
    const receipts = index === 0 ? 4 : index < MANY / 2 ? 3 : 4
    assert.deepEqual([stats.organization, stats.messages.count, stats.receipts.count], [organization, 1, receipts])
  }
  assert.equal(new OutboxFile(file, {}).check().ok, true)
})

test('an organization whose server refuses, is silent, or is gone stalls no other one', async (t) => {
  const simulator = await simulate(t)
  const silent = await simulate(t, { latencyMs: { min: 600_000, max: 600_000 } })
  const refusing = await simulate(t, { credentials: { clientId: 'another', clientSecret: 'not-a-secret' } })
  const file = join(directory(t), 'outbox.db')
  const gone = { url: 'http://127.0.0.1:9' }
  const bad = await Promise.all([silent, refusing, gone].map((server) => open(t, optionsFor(server, file))))
  const good = await Promise.all(optionsForMany(simulator, file, 5).map((options) => open(t, options)))
  await Promise.all(bad.flatMap((sender) => Array.from({ length: 2_000 }, (_, seq) => sender.enqueue(message(`m${seq}`, `c${seq}`, seq)))))
  await Promise.all(good.flatMap((sender) => Array.from({ length: 50 }, (_, seq) => sender.send(message(`m${seq}`, 'c', seq)))))
  for (const sender of good) {
    assert.equal(sender.stats().counters.delivered, 50)
    await sender.close()
  }
})

test(`${KILLS} kills lose nothing that was accepted of any organization`, async (t) => {
  const simulator = await simulate(t)
  const file = join(directory(t), 'outbox.db')
  const all = optionsForMany(simulator, file, 12)
  const accepted = []
  for (let kill = 0; kill < KILLS; kill++) {
    const { child, first, ended } = start('flow-of-many.js', { all, firstSeq: kill * 1_000_000 })
    await first
    const { arrivals } = simulator.ledger()
    await until(() => simulator.ledger().arrivals > arrivals + 100)
    child.kill('SIGKILL')
    const end = await ended
    assertEnd(end, { signal: 'SIGKILL' })
    accepted.push(...end.lines)
  }
  const senders = await Promise.all(all.map((options) => open(t, options)))
  await Promise.all(senders.map((sender) => sender.drain()))
  const { ids } = simulator.ledger({ ids: true })
  assert.ok(accepted.length > KILLS * 100, 'messages flowed')
  assert.deepEqual(
    accepted.filter((id) => !(id in ids)),
    [],
    'nothing is lost',
  )
  await Promise.all(senders.map((sender) => sender.close()))
  assert.equal(new OutboxFile(file, {}).check().ok, true)
})

test('the command line says whom it means, or is told who is there', async (t) => {
  const simulator = await simulate(t, { poisonText: 'poison' })
  const file = join(directory(t), 'outbox.db')
  const [acme, globex] = optionsForMany(simulator, file, 2)
  const senders = await Promise.all([acme, globex].map((options) => open(t, options)))
  for (const sender of senders) {
    await assert.rejects(sender.send({ ...message('bad', 'c', 1), body: { text: 'poison' } }), { code: 'DELIVERY_REJECTED' })
  }
  const ask = async (code, ...args) => {
    const end = await cli.run(['outbox', file, ...args])
    cli.assertEnd(end, code)
    return end
  }
  for (const verb of [['ls'], ['show', 'bad'], ['stats'], ['dead'], ['export']]) {
    const { stderr } = await ask(1, ...verb)
    for (const part of ['2 organizations', acme.organization, globex.organization, '--organization'])
      assert.ok(stderr.includes(part), stderr)
    await ask(0, ...verb, '--organization', acme.organization)
  }
  const { stderr } = await ask(1, 'ls', '--organization', 'nobody')
  assert.ok(stderr.includes('"nobody"') && stderr.includes(globex.organization), stderr)
  await ask(0, 'check')
  await ask(0, 'backup', `${file}.copy`)
  await Promise.all(senders.map((sender) => sender.close()))
  const held = await ask(0, 'pause', '--organization', acme.organization)
  assert.match(held.stdout, /the next sender is paused/)
  await ask(0, 'resume', '--organization', acme.organization)
  await ask(0, 'redrive', '--all', '--organization', acme.organization)
  await ask(0, 'drop', 'bad', '--organization', globex.organization)
  const marked = await ask(0, 'mark-sent', '--until', String(Date.now()), '--organization', acme.organization)
  assert.equal(marked.stdout, '1 messages are marked as sent\n')
  const left = async ({ organization }) => JSON.parse((await ask(0, 'stats', '--json', '--organization', organization)).stdout)
  for (const [options, receipts] of [
    [acme, 1],
    [globex, 0],
  ]) {
    const stats = await left(options)
    assert.deepEqual([stats.messages.count, stats.letters.count, stats.receipts.count], [0, 0, receipts])
  }
})
