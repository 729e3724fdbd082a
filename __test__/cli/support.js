'use strict'

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const fs = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')

const { PATIENCE_MS } = require('../until.js')

const ROOT = join(__dirname, '../..')

/** Runs the command as a shell would: with arguments, an environment and what is piped into it. */
function start(args, { env = {}, stdin } = {}) {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('SPILLWAY_'))
  const child = spawn(process.execPath, [join(ROOT, 'bin/spillway.js'), ...args], {
    env: { ...Object.fromEntries(inherited), ...env },
    timeout: PATIENCE_MS,
  })
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => {
      output[name] += text
    })
  }
  // A command that has seen enough closes its end.
  child.stdin.on('error', () => {})
  child.stdin.end(stdin)
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, ...output }))
  })
  const printed = (pattern) => {
    return new Promise((resolve, reject) => {
      const look = () => {
        const match = pattern.exec(output.stdout)
        if (match !== null) resolve(match)
      }
      child.stdout.on('data', look)
      ended.then((end) => reject(new Error(`it ended without ${pattern}: ${JSON.stringify(end)}`)), reject)
      look()
    })
  }
  return { child, ended, printed }
}

async function run(args, options) {
  return start(args, options).ended
}

function assertEnd(end, code) {
  assert.deepEqual([end.code, end.signal], [code, null], `stdout: ${end.stdout}\nstderr: ${end.stderr}`)
}

/** A folder of the test's own; `write` gives the path of a file in it. */
function scratch(t) {
  const folder = fs.mkdtempSync(join(tmpdir(), 'spillway-cli-'))
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }))
  return (name, content) => {
    const path = join(folder, name)
    fs.writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
    return path
  }
}

/** The value of a row in a printed table. */
function row(text, label) {
  const line = text.split('\n').find((line) => line.startsWith(`${label}  `))
  assert.ok(line !== undefined, `no row "${label}" in ${text}`)
  return line.slice(label.length).trim().split(/ {3,}/)
}

module.exports = { assertEnd, ROOT, row, run, scratch, start }
