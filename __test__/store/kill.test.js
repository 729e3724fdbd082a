'use strict'

// SIGKILL at random moments while messages flow, round after round on one file. After each kill the file is looked into: it
// tells which messages were on the wire, and so whose outcome is uncertain. `SPILLWAY_KILL_ROUNDS` makes it longer (`npm run
// soak`), `SPILLWAY_SEED` makes it another run.

const assert = require('node:assert/strict')
const { existsSync } = require('node:fs')
const { join } = require('node:path')
const { test } = require('node:test')
const { setTimeout: delay } = require('node:timers/promises')

const { OutboxFile } = require('../../lib/cli/outbox-file.js')
const { assertEnd, directory, optionsFor, randomOf, run, simulate, start, until } = require('./support.js')

const ROUNDS = Number(process.env.SPILLWAY_KILL_ROUNDS ?? 60)
const SEED = Number(process.env.SPILLWAY_SEED ?? 20_261_125)
const SEQS_PER_ROUND = 1_000_000
const CONVERSATIONS = 20
const CONNECTIONS = 8

for (const ambiguous of ['retry', 'fail']) {
  test(`${ROUNDS} kills lose nothing that was accepted, ambiguous: ${ambiguous} (seed ${SEED})`, async (t) => {
    const random = randomOf(SEED)
    const simulator = await simulate(t, { latencyMs: { min: 0, max: 10 } })
    const path = join(directory(t), 'outbox.db')
    const options = optionsFor(simulator, path, {
      retry: { ambiguous },
      connections: { max: CONNECTIONS },
      queue: { maxMessages: 10_000_000 },
    })
    const accepted = []
    const uncertain = new Map()
    for (let round = 0; round < ROUNDS; round++) {
      const input = { options, firstSeq: round * SEQS_PER_ROUND, conversations: CONVERSATIONS }
      const { child, first, ended } = start('flow.js', input)
      await first
      // In every other round something is on the wire, however long a token and a connection take.
      if (round % 2 === 0) {
        const { arrivals } = simulator.ledger()
        await until(() => simulator.ledger().arrivals > arrivals)
      }
      // Where in its work it is hit is the point of the test, so chance decides when.
      await delay(random() * 60)
      child.kill('SIGKILL')
      const end = await ended
      assertEnd(end, { signal: 'SIGKILL' })
      accepted.push(...end.lines)
      for (const id of onTheWire(path)) uncertain.set(id, (uncertain.get(id) ?? 0) + 1)
    }
    // What has come together meanwhile needs no delay to be delivered.
    await simulator.set({ latencyMs: { min: 0, max: 0 } })
    const end = await run('finish.js', { options })
    assertEnd(end, { code: 0 })
    const { letters } = JSON.parse(end.lines[0])

    const ledger = simulator.ledger({ ids: true })
    const gaveUp = letters.map(({ id }) => id).sort()
    t.diagnostic(
      `${accepted.length} accepted, ${uncertain.size} uncertain, ${ledger.duplicates} delivered twice, ${gaveUp.length} given up`,
    )
    assert.ok(accepted.length > ROUNDS && uncertain.size > 0, 'messages flowed')
    assert.deepEqual(
      accepted.filter((id) => !(id in ledger.ids) && !uncertain.has(id)),
      [],
      'nothing is lost',
    )
    if (ambiguous === 'fail') {
      assert.equal(ledger.duplicates, 0)
      assert.deepEqual(gaveUp, [...uncertain.keys()].sort())
      assert.ok(letters.every(({ reason }) => reason === 'ambiguous'))
    } else {
      assert.deepEqual(gaveUp, [])
      assert.deepEqual(
        [...uncertain.keys()].filter((id) => !(id in ledger.ids)),
        [],
        'nothing is lost',
      )
      const repeated = Object.entries(ledger.ids).filter(([id, count]) => count > 1 + (uncertain.get(id) ?? 0))
      assert.deepEqual(repeated, [], 'only what was on the wire at a kill comes again, once for each')
    }
    assert.equal(ledger.orderViolations, 0)
    assert.equal(ledger.maxInFlightPerConversation, 1)
  })
}

/** The ids of the messages that left and have no answer on record. */
function onTheWire(path) {
  if (!existsSync(path)) return []
  const messages = [...new OutboxFile(path, { bodies: false }).messages()]
  return messages.filter(({ state }) => state === 'sent').map(({ id }) => id)
}
