'use strict'

const { EventEmitter } = require('node:events')
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { Readable } = require('node:stream')
const { setImmediate: nextTurn } = require('node:timers/promises')

const { main } = require('../../lib/cli/index.js')

/** Runs the command line with streams of its own. `begin(io)` is called once it runs. */
async function cli(args, { stdin = '', env = {}, begin = () => {} } = {}) {
  const written = { stdout: '', stderr: '' }
  const stream = (name) => ({ write: (text) => (written[name] += text) })
  const input = typeof stdin === 'string' ? Readable.from([Buffer.from(stdin)]) : stdin
  const io = { stdout: stream('stdout'), stderr: stream('stderr'), stdin: input, env, signals: new EventEmitter(), written }
  const running = main(args, io)
  begin(io)
  const code = await running
  return { code, ...written, listeners: io.signals.listenerCount('SIGINT') + io.signals.listenerCount('SIGTERM') }
}

/** Looks in each turn of the event loop whether something has come, then goes on. */
async function until(condition) {
  while (!condition()) await nextTurn()
}

/** A folder for a test's files, gone after it. */
function scratch(t) {
  const folder = mkdtempSync(path.join(tmpdir(), 'spillway-cli-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return (name, content) => {
    const file = path.join(folder, name)
    writeFileSync(file, typeof content === 'string' || Buffer.isBuffer(content) ? content : JSON.stringify(content))
    return file
  }
}

module.exports = { cli, scratch, until }
