'use strict'

const { channel } = require('node:diagnostics_channel')

const { checkForMs, checkId, checkLetterFilter, checkObject, checkResumeScope, invalid } = require('../checks.js')
const { surface } = require('../each.js')
const { takes } = require('./letters.js')

const DROPS_AT_ONCE = 64
// Held here: Node lets go of a channel that nobody holds, with its subscribers.
const told = channel('spillway:operator')

const KEYS = {
  pause: new Set(['organization', 'action', 'forMs']),
  resume: new Set(['organization', 'action', 'scope']),
  redrive: new Set(['organization', 'action', 'id', 'filter']),
  drop: new Set(['organization', 'action', 'id', 'filter']),
}

/** What an operator asks for, checked: `{ action, … }`. Throws a ConfigError for anything else. */
function checkOperation(asked) {
  if (!Object.hasOwn(KEYS, asked.action)) throw invalid('action', `one of ${Object.keys(KEYS).join(', ')}`, asked.action)
  const { action, forMs, scope, id, filter } = checkObject('the operation', asked, KEYS[asked.action])
  if (action === 'pause') return { action, ...given({ forMs: checkForMs(forMs ?? undefined) }) }
  if (action === 'resume') {
    checkResumeScope(scope)
    return { action, ...given({ scope }) }
  }
  if ((id === undefined) === (filter === undefined)) throw invalid('the operation', 'one with either id or filter', asked)
  if (id !== undefined) return { action, id: checkId('id', id) }
  checkLetterFilter(filter)
  return { action, filter }
}

/** Does it, and reports it, however it ended. Gives the numbers that came of it; throws what the sender throws. */
async function operate(organization, operation, by) {
  const { name, sender } = organization
  const report = { organization: name, by, atMs: Date.now(), ...operation }
  try {
    const result = await WORK[operation.action](sender, operation)
    tell(organization, { ...report, ok: true, ...given({ result }) })
    return result ?? {}
  } catch (error) {
    tell(organization, { ...report, ok: false, error: error?.code ?? 'SPILLWAY_ERROR' })
    throw error
  }
}

const WORK = {
  pause: (sender, { forMs }) => sender.pause(given({ forMs })),
  resume: (sender, { scope }) => sender.resume(given({ scope })),
  redrive: (sender, { id, filter }) => sender.redrive(id ?? filter),
  drop: (sender, { id, filter }) => (id === undefined ? dropAll(sender, filter) : sender.drop(id)),
}

/** Those that there are when it begins. One that somebody else redrives or drops meanwhile does not count. */
async function dropAll(sender, filter) {
  let dropped = 0
  const some = []
  const drop = async () => {
    const ends = await Promise.allSettled(some.splice(0).map((id) => sender.drop(id)))
    const failure = ends.find(({ status, reason }) => status === 'rejected' && reason?.code !== 'NOT_FOUND')
    dropped += ends.filter(({ status }) => status === 'fulfilled').length
    if (failure !== undefined) throw failure.reason
  }
  for await (const letter of sender.deadLetters()) {
    if (!takes(filter, letter)) continue
    if (some.push(letter.id) === DROPS_AT_ONCE) await drop()
  }
  await drop()
  return { dropped }
}

// A listener that throws must not turn what was done into a failure.
function tell(organization, event) {
  organization.keepOperation(event)
  try {
    organization.sender.emit('operator', event)
    told.publish(event)
  } catch (error) {
    surface(error)
  }
}

function given(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

module.exports = { checkOperation, operate }
