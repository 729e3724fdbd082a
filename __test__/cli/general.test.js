'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { version } = require('../../package.json')
const { assertEnd, run } = require('./support.js')

const COMMANDS = ['demo', 'simulate', 'send', 'ramp', 'outbox']

test('help and version, of the whole and of each command', async () => {
  const help = await run(['--help'])
  assertEnd(help, 0)
  assert.match(help.stdout, /^Usage: spillway <command> \[options\]/)
  for (const command of COMMANDS) assert.match(help.stdout, new RegExp(`^  ${command} {2,}\\S`, 'm'))
  assert.equal(help.stderr, '')
  assert.deepEqual(await run(['-h']), help)

  for (const command of [[], ...COMMANDS.map((name) => [name])]) {
    const plain = await run([...command, '--version'])
    assertEnd(plain, 0)
    assert.equal(plain.stdout, `${version}\n`)
    assert.deepEqual(JSON.parse((await run([...command, '--version', '--json'])).stdout), { version })
  }
  for (const command of COMMANDS) {
    const own = await run([command, '--help'])
    assertEnd(own, 0)
    assert.ok(own.stdout.startsWith(`Usage: spillway ${command} `), own.stdout)
    assert.ok(own.stdout.includes('--json'), own.stdout)
    assert.ok(
      own.stdout.split('\n').every((line) => line.length <= 120),
      'a line is wider than 120 characters',
    )
  }
})

test('a wrong command line says what is wrong and where help is, with exit code 2', async () => {
  const table = [
    [[], 'spillway: a command is missing; known are demo, simulate, send, ramp, outbox, fleet (see spillway --help)'],
    [['sned'], 'spillway: unknown command "sned"; known are demo, simulate, send, ramp, outbox, fleet'],
    [['--fast'], "spillway: Unknown option '--fast'"],
    [['--json', 'demo'], 'spillway: options come after the command'],
    [['demo', '--sped', '5'], "spillway demo: Unknown option '--sped'"],
    [['demo', 'file'], 'spillway demo: unexpected argument "file"'],
    [['demo', '--speed'], "spillway demo: Option '--speed <value>' argument missing"],
    [['demo', '--speed', '0'], 'spillway demo: --speed must be a number from 0.01 to 1000, got "0"'],
    [['demo', '--speed', '1e9'], 'spillway demo: --speed must be a number from 0.01 to 1000, got "1e9"'],
    [['demo', '--file', '/no/such/file'], "spillway demo: /no/such/file can't be read (ENOENT)"],
    [['simulate', '--port', '65536'], 'spillway simulate: --port must be an integer from 0 to 65535, got "65536"'],
    [['simulate', '--quota', '100'], 'spillway simulate: --quota must be like 100/1s (N/TIME in ms, s, m or h), got "100"'],
    [['simulate', '--quota', '0/1s'], 'spillway simulate: quota'],
    [['simulate', '--config', '/no/such/file'], "spillway simulate: --config /no/such/file can't be read (ENOENT)"],
    [['send'], 'spillway send: a file is missing, or - for standard input'],
    [['send', 'a', 'b'], 'spillway send: unexpected argument "b"'],
    [['send', '-'], 'spillway send: --config FILE is missing'],
  ]
  const check = async ([args, says]) => {
    const end = await run(args)
    assertEnd(end, 2)
    assert.equal(end.stdout, '')
    assert.ok(end.stderr.startsWith(says), end.stderr)
    assert.match(end.stderr, /\(see spillway( \w+)? --help\)\n$/)
    assert.equal(end.stderr.trim().split('\n').length, 1, 'more than one line')
  }
  await Promise.all(table.map(check))
})
