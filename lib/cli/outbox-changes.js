'use strict'

// The verbs of the outbox command that change what the next sender does: its dead letters, and an operator's pause.

const { checkStatus, LETTER_REASONS } = require('../checks.js')
const { instant } = require('./outbox-text.js')
const { count } = require('./summary.js')
const { pastTime, timeToCome } = require('./time.js')
const { UsageError } = require('./usage.js')

const FILTERS = ['reason', 'status', 'since']

function redrive(file, { id, json, ...options }, io) {
  if (id === undefined) return redriveAll(file, filterOf(options), json, io)
  const { seq } = file.redrive(id)
  io.stdout.write(json ? `${JSON.stringify({ id, seq })}\n` : `${JSON.stringify(id)} waits again, as number ${seq}\n`)
  return 0
}

/** Which letters are meant; all without an option. */
function filterOf({ reason, status, since }) {
  if (reason !== undefined && !LETTER_REASONS.includes(reason)) {
    throw new UsageError(`--reason must be one of ${LETTER_REASONS.join(', ')}, got ${JSON.stringify(reason)}`)
  }
  return {
    reason,
    status: status === undefined ? undefined : statusOf(status),
    sinceMs: since === undefined ? undefined : pastTime('since', since),
  }
}

function statusOf(text) {
  try {
    return checkStatus('--status', /^\d{3}$/.test(text) ? Number(text) : text)
  } catch (error) {
    throw new UsageError(error.message)
  }
}

function redriveAll(file, filter, json, io) {
  const outcome = file.redriveAll(filter)
  const { redriven, waiting, damaged } = outcome
  io.stdout.write(json ? `${JSON.stringify(outcome)}\n` : `${count(redriven)} dead letters wait again\n`)
  if (waiting > 0) io.stderr.write(`${count(waiting)} are left: messages with their ids wait\n`)
  if (damaged > 0) io.stderr.write(`${count(damaged)} are left: they are not as they were written (spillway outbox PATH check)\n`)
  return waiting + damaged > 0 ? 1 : 0
}

function drop(file, { id, json }, io) {
  file.drop(id)
  io.stdout.write(json ? `${JSON.stringify({ id })}\n` : `${JSON.stringify(id)} is dropped\n`)
  return 0
}

function pause(file, { until, json }, io) {
  const untilMs = until === undefined ? null : timeToCome('until', until)
  file.pause(untilMs)
  const end = untilMs === null ? 'until it is resumed' : `until ${instant(untilMs)}`
  io.stdout.write(json ? `${JSON.stringify({ untilMs })}\n` : `the next sender is paused ${end}\n`)
  return 0
}

function resume(file, { json }, io) {
  const { resumed } = file.resume()
  const text = resumed ? 'the next sender is no longer paused' : 'the next sender was not paused'
  io.stdout.write(json ? `${JSON.stringify({ resumed })}\n` : `${text}\n`)
  return 0
}

module.exports = { drop, FILTERS, pause, redrive, resume }
