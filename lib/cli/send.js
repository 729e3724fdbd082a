'use strict'

const { performance } = require('node:perf_hooks')

const { AuthError, ClosedError, ConfigError } = require('../errors.js')
const { Sender } = require('../sender.js')
const { readConfig } = require('./config.js')
const { withSecrets } = require('./credentials.js')
const { EXIT_INTERRUPTED, watchInterrupt } = require('./interrupt.js')
const { jsonLines, openInput } = require('./jsonlines.js')
const { printable } = require('./printer.js')
const { engineReading, Progress } = require('./progress.js')
const { count, seconds, table } = require('./summary.js')
const { UsageError } = require('./usage.js')

// However long the input is, so many messages are in memory.
const UNSETTLED_MAX = 10_000
const LISTED_MAX = 1000
const CLOSE_TIMEOUT_MS = 2000

const help = `Usage: spillway send FILE|- --config FILE [--json]

Sends the messages of a file, or of standard input (-): JSON lines, each
  {"conversationId": "…", "body": {…}, "id"?, "params"?, "headers"?, "priority"?, "expiresInMs"?, "notBefore"?}

Options:
  --config FILE   the options of Sender.open (types/options.d.ts) as JSON, without secrets
  --json          the summary as JSON; progress goes to standard error either way
  -h, --help      this text
  --version       the version

Secrets come from the environment: SPILLWAY_CLIENT_ID and SPILLWAY_CLIENT_SECRET, or SPILLWAY_ACCESS_TOKEN.

Exit code: 0 if all was delivered, 1 if a message ended as a dead letter (they are listed, in the order of the input,
and after them what an earlier run had left in a file store), wasn't delivered or can't be read from the file, 2 for a
wrong argument, configuration or line, 130 after Ctrl-C.
`

const options = { config: { type: 'string' } }

async function run(values, [source], io) {
  if (source === undefined) throw new UsageError('a file is missing, or - for standard input')
  if (values.config === undefined) throw new UsageError('--config FILE is missing')
  const sender = await Sender.open(withSecrets(await readConfig(values.config), values.config, io.env))
  const { signal, release } = watchInterrupt(io.signals)
  const batch = new Batch(sender)
  const read = () => ({ settled: batch.settled, total: batch.total, ...engineReading(sender.stats()) })
  const progress = new Progress(io.stderr, 'spillway', read)
  const began = new Set()
  sender.on('outage', ({ open, reason, message }) => {
    if (open) began.add(reason)
    // What has no beginning is no outage: rows that the file can't give back, or a damaged file that was replaced.
    const isOver = !open && began.delete(reason)
    if (isOver) progress.note(`the outage (${reason}) is over${message && `: ${message}`}`)
    else progress.note(open ? `outage (${reason}): ${message}` : `${reason}: ${message}`)
  })
  // Without any, each dead letter is one of the input, whose promise tells it.
  if (sender.recovered > 0) sender.on('deadLetter', (letter) => batch.buried(letter))
  let undelivered
  try {
    await batch.send(openInput(source, io.stdin), source === '-' ? 'standard input' : source, signal)
  } finally {
    release()
    progress.stop()
    ;({ undelivered } = await sender.close({ timeoutMs: CLOSE_TIMEOUT_MS }))
  }
  return report({ ...batch.summary(), undelivered }, batch.stopped, values.json, io)
}

/** The messages of one input on their way. */
class Batch {
  /** Why it ended before its input did: an error, or 'interrupted'. */
  stopped = null
  /** How many the input has; null until it is read to its end. */
  total = null
  settled = 0
  #sender
  #read = 0
  #delivered = 0
  #failed = 0
  /** The first that failed, by their number in the input. */
  #listed = new Map()
  /** Of an earlier run, by their ids: at most as many as the outbox held. Without what is shown of them beyond the first. */
  #earlier = new Map()
  /** Ids of the input that failed last. */
  #failedLast = new Set()
  #startedAt = performance.now()
  #input = null
  #wake = () => {}

  constructor(sender) {
    this.#sender = sender
  }

  /** Resolves when all that was read is settled, or when it stopped. */
  async send(input, name, signal) {
    this.#input = input
    const interrupt = () => this.#stop('interrupted')
    signal.addEventListener('abort', interrupt, { once: true })
    try {
      for await (const { line, value } of jsonLines(input, name)) {
        while (this.#read - this.settled >= UNSETTLED_MAX && this.stopped === null) await this.#settlement()
        if (this.stopped !== null) break
        this.#follow(value, `${name}, line ${line}`)
      }
      this.total = this.#read
    } catch (error) {
      // An input that was destroyed by the stop complains; that is not why it ended. What came before a bad line goes on.
      this.stopped ??= error
    }
    while (this.settled < this.#read && !this.#mustLeave()) await this.#settlement()
  }

  /** A message became a dead letter. If it is one of the input its promise tells so, before or after. */
  buried({ id, conversationId, reason, status }) {
    if (this.#failedLast.has(id)) return
    this.#earlier.set(id, this.#earlier.size < LISTED_MAX ? { id, conversationId, reason, status } : null)
  }

  summary() {
    const { recovered } = this.#sender
    const unreadable = this.#sender.stats().store?.unreadable ?? 0
    const earlier = [...this.#earlier.values()]
    const own = [...this.#listed].sort(([a], [b]) => a - b).map(([, letter]) => letter)
    return {
      messages: this.#read,
      ...(recovered > 0 && { recovered }),
      ...(unreadable > 0 && { unreadable }),
      delivered: this.#delivered,
      failed: this.#failed + earlier.length,
      deadLetters: [...own, ...earlier.filter((letter) => letter !== null)].slice(0, LISTED_MAX),
      duplicates: this.#sender.stats().counters.duplicates,
      elapsedMs: performance.now() - this.#startedAt,
    }
  }

  async #follow(message, place) {
    const number = ++this.#read
    try {
      await this.#sender.send(message)
      this.#delivered++
    } catch (error) {
      this.#failure(error, message, number, place)
    }
    this.settled++
    this.#wake()
  }

  #failure(error, message, number, place) {
    this.#failedHere(error.messageId ?? message?.id)
    if (error instanceof ConfigError) {
      this.#stop(new UsageError(`${place}: ${error.message}`))
    } else if (error instanceof AuthError) {
      // The message stays in the outbox, but an outbox in memory ends with this process: waiting helps nobody.
      this.#stop(error)
    } else if (!(error instanceof ClosedError)) {
      this.#failed++
      if (this.#listed.size < LISTED_MAX) this.#listed.set(number, letterOf(error, message))
    }
  }

  /** Whatever becomes of it, it is listed with the input or not at all. */
  #failedHere(id) {
    if (this.#sender.recovered === 0 || id === undefined || id === null) return
    this.#earlier.delete(id)
    this.#failedLast.add(id)
    if (this.#failedLast.size > UNSETTLED_MAX) this.#failedLast.delete(this.#failedLast.values().next().value)
  }

  #stop(reason) {
    this.stopped ??= reason
    this.#input.destroy()
    this.#wake()
  }

  /** After an interrupt or refused credentials nothing is waited for; after a bad line what came before it is. */
  #mustLeave() {
    return this.stopped !== null && !(this.stopped instanceof UsageError)
  }

  #settlement() {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}

/** What may be shown of a message that failed: never its text. */
function letterOf(error, message) {
  return {
    id: error.messageId ?? message.id ?? null,
    conversationId: message.conversationId,
    reason: error.reason ?? reasonOf(error.code),
    status: error.status ?? null,
  }
}

/** `DELIVERY_REJECTED` is `rejected`, as in a dead letter. */
function reasonOf(code) {
  return code
    .replace(/^DELIVERY_/, '')
    .toLowerCase()
    .replaceAll('_', '-')
}

function report(summary, stopped, json, io) {
  io.stdout.write(json ? `${JSON.stringify(summary)}\n` : summaryText(summary))
  if (stopped === 'interrupted') {
    io.stderr.write(`interrupted: ${count(summary.undelivered)} messages were not delivered\n`)
    return EXIT_INTERRUPTED
  }
  if (stopped !== null) throw stopped
  return summary.failed > 0 || summary.undelivered > 0 || summary.unreadable > 0 ? 1 : 0
}

function summaryText({ messages, recovered, unreadable, delivered, failed, deadLetters, duplicates, undelivered, elapsedMs }) {
  const text = table([
    ['messages', count(messages)],
    ...(recovered === undefined ? [] : [['from an earlier run', count(recovered)]]),
    ...(unreadable === undefined ? [] : [['unreadable in the file', count(unreadable)]]),
    ['delivered', count(delivered)],
    ['dead letters', count(failed)],
    ['not delivered', count(undelivered)],
    ['duplicates recognized', count(duplicates)],
    ['time', seconds(elapsedMs)],
  ])
  if (failed === 0) return text
  const rows = deadLetters.map(({ id, conversationId, reason, status }) => [
    printable(id ?? '-'),
    printable(conversationId),
    reason,
    status === null ? '-' : String(status),
  ])
  const more = failed > rows.length ? `and ${count(failed - rows.length)} more\n` : ''
  return `${text}\n${table([['id', 'conversation', 'reason', 'status'], ...rows])}${more}`
}

module.exports = { help, options, positionalsMax: 1, run }
