// One client against one server, each in a process of its own, for a time that is bounded: what the server's ledger says.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const here = (name) => fileURLToPath(new URL(name, import.meta.url))

/** A child that answers one message with one message. */
async function startGauge(config) {
  const child = fork(here('gauge.mjs'), [JSON.stringify(config)])
  const heard = async () => (await once(child, 'message'))[0].answer
  const ask = (question, given) => {
    const answer = heard()
    child.send({ ask: question, given })
    return answer
  }
  return { url: await heard(), ask, stop: () => end(child) }
}

async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

/** Starts the client, and hands over what it says, one message after the other. */
function startFlood(setting) {
  const child = fork(here('flood.mjs'), [JSON.stringify(setting)])
  const died = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`the client ended by itself (${signal ?? code})`)
  })
  died.catch(() => {})
  const heard = async () => (await Promise.race([once(child, 'message'), died]))[0]
  return { heard, report: () => child.send('report'), stop: () => end(child) }
}

/**
 * Runs `peer` (a file of peers/) against a simulator with `config`, and stops it after `untilMs`. `turns` are changes of
 * the simulator: `[{ afterMs, config }]`. Both count from the client's start. Gives what the client said, the ledger, and
 * the readings of it if `config.everyMs` is set.
 */
export async function contest({ config, untilMs, turns = [], ...setting }) {
  const gauge = await startGauge({ authRequired: false, ...config })
  const flood = startFlood({ ...setting, url: gauge.url })
  const timers = []
  try {
    await flood.heard()
    await gauge.ask('start')
    timers.push(...turns.map((turn) => setTimeout(() => gauge.ask('set', turn.config), turn.afterMs)))
    timers.push(setTimeout(flood.report, untilMs))
    const said = await flood.heard()
    await flood.stop()
    return { ...said, ledger: await gauge.ask('ledger'), readings: await gauge.ask('readings') }
  } finally {
    timers.forEach(clearTimeout)
    await flood.stop()
    await gauge.stop()
  }
}
