'use strict'

const { spawn } = require('node:child_process')
const { join } = require('node:path')

const { assertEnd, PATIENCE_MS, randomOf } = require('../process/support.js')

/**
 * Starts a script of `children/`, which gets `input` as JSON in its last argument. `lines` grows with what it prints, a
 * line each; `first` resolves when it has printed one; `ended` with how it ended.
 */
function start(script, input, env = process.env) {
  const file = join(__dirname, 'children', script)
  const child = spawn(process.execPath, [file, JSON.stringify(input)], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const limit = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS)
  let [stdout, stderr, onFirst] = ['', '']
  const first = new Promise((resolve) => {
    onFirst = resolve
  })
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text
    if (stdout.includes('\n')) onFirst()
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text
  })
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(limit)
      onFirst()
      // A line that was cut by the end of the process is none.
      resolve({ code, signal, stdout, stderr, lines: stdout.split('\n').slice(0, -1) })
    })
  })
  return { child, first, ended }
}

const run = (script, input) => start(script, input).ended

module.exports = { assertEnd, randomOf, run, start }
