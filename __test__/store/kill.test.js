'use strict'

// SIGKILL at random moments while messages flow, round after round on one file. `SPILLWAY_KILL_ROUNDS` makes it longer
// (`npm run soak`), `SPILLWAY_SEED` makes it another run.

const assert = require('node:assert/strict')
const { join } = require('node:path')
const { test } = require('node:test')
const { setTimeout: delay } = require('node:timers/promises')

const { assertEnd, directory, optionsFor, randomOf, run, simulate, start } = require('./support.js')

const ROUNDS = Number(process.env.SPILLWAY_KILL_ROUNDS ?? 60)
const SEED = Number(process.env.SPILLWAY_SEED ?? 20_261_125)
const SEQS_PER_ROUND = 1_000_000
const CONVERSATIONS = 20
const CONNECTIONS = 8

for (const ambiguous of ['retry', 'fail']) {
  test(`${ROUNDS} kills lose nothing that was accepted, ambiguous: ${ambiguous} (seed ${SEED})`, async (t) => {
    const random = randomOf(SEED)
    const simulator = await simulate(t, { latencyMs: { min: 0, max: 10 } })
    const options = optionsFor(simulator, join(directory(t), 'outbox.db'), {
      retry: { ambiguous },
      connections: { max: CONNECTIONS },
      queue: { maxMessages: 10_000_000 },
    })
    const accepted = []
    for (let round = 0; round < ROUNDS; round++) {
      const input = { options, firstSeq: round * SEQS_PER_ROUND, conversations: CONVERSATIONS }
      const { child, first, ended } = start('flow.js', input)
      await first
      // Where in its work it is hit is the point of the test, so chance decides when.
      await delay(random() * 60)
      child.kill('SIGKILL')
      const end = await ended
      assertEnd(end, { signal: 'SIGKILL' })
      accepted.push(...end.lines)
    }
    const end = await run('finish.js', { options })
    assertEnd(end, { code: 0 })
    const { letters } = JSON.parse(end.lines[0])

    const ledger = simulator.ledger({ ids: true })
    const gaveUp = new Set(letters.map(({ id }) => id))
    const lost = accepted.filter((id) => !(id in ledger.ids) && !gaveUp.has(id))
    t.diagnostic(`${accepted.length} accepted, ${ledger.duplicates} delivered twice, ${letters.length} given up`)
    assert.ok(accepted.length > ROUNDS, 'messages flowed')
    assert.deepEqual(lost, [])
    assert.equal(ledger.maxInFlightPerConversation <= 1 || ledger.duplicates > 0, true)
    if (ambiguous === 'fail') {
      assert.equal(ledger.duplicates, 0)
      assert.ok(letters.every(({ reason }) => reason === 'ambiguous'))
    } else {
      assert.deepEqual(letters, [])
      // Only what was on the wire when its process was killed can have come twice.
      assert.ok(ledger.duplicates <= ROUNDS * CONNECTIONS, `${ledger.duplicates} duplicates`)
    }
    // A repetition comes behind its own first delivery, never behind a later message of its conversation.
    assert.ok(ledger.orderViolations <= ledger.duplicates, `${ledger.orderViolations} out of order`)
  })
}
