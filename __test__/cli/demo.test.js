'use strict'

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { describe, it } = require('node:test')
const { promisify } = require('node:util')

const { redis } = require('../fleet/support.js')
const { redisServer } = require('../redis.js')
const { assertEnd, row, run, scratch, start } = require('./support.js')

/** Where a program of the PATH is. */
async function absolute(program) {
  const { stdout } = await promisify(execFile)('/bin/sh', ['-c', `command -v ${program}`])
  return stdout.trim()
}

describe('spillway demo', () => {
  it('delivers the whole example, once, in order and without a 429', async () => {
    const end = await run(['demo', '--speed', '20', '--json'])
    assertEnd(end, 0)
    assert.equal(end.stderr, '')
    const { runs } = JSON.parse(end.stdout)
    assert.equal(runs.length, 1)
    const { name, messages, unique, delivered, lost, outOfOrder, duplicatesDelivered, duplicatesRecognized, requests, throttled } = runs[0]
    assert.ok(messages >= 2_000 && unique < messages, `${messages} messages, ${unique} different`)
    assert.deepEqual(
      { name, delivered, lost, outOfOrder, duplicatesDelivered, duplicatesRecognized, requests, throttled },
      {
        name: 'Spillway',
        delivered: unique,
        lost: 0,
        outOfOrder: 0,
        duplicatesDelivered: 0,
        duplicatesRecognized: messages - unique,
        requests: unique,
        throttled: 0,
      },
    )
    const { idealMs, elapsedMs, delayMs } = runs[0]
    assert.ok(idealMs > 0 && elapsedMs >= idealMs, `${elapsedMs} of ${idealMs}`)
    assert.ok(delayMs.p50 <= delayMs.p99 && delayMs.p99 <= delayMs.max)
  })

  it('--hosts sends through several processes that share one budget, without a 429', async (t) => {
    const { port } = await redis(t)
    const budget = `redis://127.0.0.1:${port}`
    const end = await run(['demo', '--hosts', '3', '--budget', budget, '--speed', '20', '--json'])
    assertEnd(end, 0)
    assert.equal(end.stderr, '')
    const [{ name, messages, unique, delivered, lost, outOfOrder, duplicatesDelivered, duplicatesRecognized, requests, throttled }] =
      JSON.parse(end.stdout).runs
    assert.deepEqual(
      { name, delivered, lost, outOfOrder, duplicatesDelivered, duplicatesRecognized, requests, throttled },
      {
        name: 'Spillway, 3 hosts',
        delivered: unique,
        lost: 0,
        outOfOrder: 0,
        duplicatesDelivered: 0,
        duplicatesRecognized: messages - unique,
        requests: unique,
        throttled: 0,
      },
    )
  })

  it('--hosts finds a Redis on the PATH, and says what it needs without one', async () => {
    const none = await run(['demo', '--hosts', '2'], { env: { PATH: '/nowhere' } })
    assertEnd(none, 2)
    assert.match(none.stderr, /needs redis-server or valkey-server on the PATH: install one .+--install-redis.+ URL of a Redis: --budget/)
    for (const args of [['--hosts', '1'], ['--budget', 'redis://localhost'], ['--install-redis']]) {
      assertEnd(await run(['demo', ...args]), 2)
    }
  })

  describe('--install-redis', { skip: process.platform === 'win32' }, () => {
    /** A PATH of nothing but an apt-get (and a sudo) that do this. */
    const pathWith = (t, commands) => {
      const write = scratch(t)
      const executable = (name, text) => fs.chmodSync(write(name, `#!/bin/sh\n${text}\n`), 0o755)
      executable('sudo', 'shift; exec "$@"')
      executable('apt-get', commands(path.dirname(write('.keep', ''))))
      return path.dirname(write('.keep', ''))
    }

    it('installs a Redis where there is none, and runs it', async (t) => {
      const server = await absolute(await redisServer())
      const PATH = pathWith(t, (folder) => `case "$*" in *install*redis-server*) /bin/ln -s ${server} ${folder}/redis-server;; esac`)
      const end = await run(['demo', '--hosts', '2', '--install-redis', '--speed', '20', '--json'], { env: { PATH } })
      assertEnd(end, 0)
      const [{ name, lost, throttled }] = JSON.parse(end.stdout).runs
      assert.deepEqual({ name, lost, throttled }, { name: 'Spillway, 2 hosts', lost: 0, throttled: 0 })
    })

    it('says what to do where nothing may be installed', async (t) => {
      const PATH = pathWith(t, () => 'echo "E: are you root?" >&2; exit 100')
      const end = await run(['demo', '--hosts', '2', '--install-redis'], { env: { PATH } })
      assertEnd(end, 2)
      assert.match(
        end.stderr,
        /installing redis-server with apt-get did not work \(E: are you root\?\): install it, or valkey-server, by other means/,
      )
    })
  })

  it('--compare prints both ways side by side, on plain lines where there is no terminal', async () => {
    const end = await run(['demo', '--compare', '--speed', '20'])
    assertEnd(end, 0)
    assert.ok(!end.stdout.includes('\x1b') && !end.stdout.includes('\r'), 'escapes without a terminal')
    assert.match(end.stdout, /^2,400 messages \(2,388 different\) of \d+ conversations, to a server that allows 2,000 requests a second: /)
    assert.match(end.stdout, /^spillway {5}\d+\.\d s {2}\d+\/2400 {2}\d+\/s {2}budget \d+ {2}queued \d+$/m)
    assert.match(end.stdout, /^hand-rolled {2}\d+\.\d s {2}\d+\/2400 {2}/m)
    const [, summary] = end.stdout.split('\n\n')
    assert.match(summary, /^ +Spillway +hand-rolled$/m)
    assert.equal(row(summary, 'lost')[0], '0')
    assert.equal(row(summary, 'out of order')[0], '0')
    assert.equal(row(summary, 'answers of 429')[0], '0')
    for (const label of ['delivered', 'requests', 'time', 'ideal time', 'delay, median', 'delay, 99th percentile']) {
      assert.equal(row(summary, label).length, 2, label)
    }
  })

  it('--file takes another peak; a bad line is named', async (t) => {
    const write = scratch(t)
    const rows = Array.from({ length: 30 }, (_, index) => ({
      atMs: index,
      id: `m${index % 25}`,
      conversationId: `c${index % 3}`,
      seq: index,
      type: 'text',
      direction: 'inbound',
      from: 'a',
      text: 'a text',
    }))
    const lines = rows.map((row) => JSON.stringify(row)).join('\n')
    const end = await run(['demo', '--file', write('peak.jsonl', lines), '--json'])
    assertEnd(end, 0)
    const [{ messages, unique, delivered }] = JSON.parse(end.stdout).runs
    assert.deepEqual({ messages, unique, delivered }, { messages: 30, unique: 25, delivered: 25 })

    for (const [text, says] of [
      [`${lines}\n{"atMs":1,"id":"x"`, 'line 31: not valid JSON'],
      [
        `${lines}\n{"atMs":"1","id":"x","conversationId":"c"}`,
        'line 31: must have atMs (a number, not below 0), id and conversationId (texts)',
      ],
      ['', 'has no messages'],
    ]) {
      const wrong = await run(['demo', '--file', write('wrong.jsonl', text)])
      assertEnd(wrong, 2)
      assert.ok(wrong.stderr.includes(says), wrong.stderr)
    }
  })

  it('ends at the first Ctrl-C, with what was delivered', { skip: process.platform === 'win32' }, async () => {
    const { child, ended, printed } = start(['demo'])
    await printed(/^spillway .*\d+\/2400/m)
    child.kill('SIGINT')
    const end = await ended
    assertEnd(end, 130)
    assert.match(end.stderr, /^interrupted: [\d,]+ of 2,388 delivered\n$/)
  })
})
