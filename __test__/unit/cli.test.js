'use strict'

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const { test } = require('node:test')

const { version } = require('../../package.json')
const { cli, scratch } = require('./cli-io.js')

const COMMANDS = ['demo', 'simulate', 'send', 'outbox']

test('--help and --version everywhere', async () => {
  for (const command of [[], ...COMMANDS.map((name) => [name])]) {
    for (const flag of ['--help', '-h']) {
      const { code, stdout, stderr } = await cli([...command, flag])
      assert.deepEqual([code, stderr], [0, ''])
      assert.ok(stdout.startsWith(['Usage: spillway', ...command].join(' ')))
      assert.ok(stdout.split('\n').every((line) => line.length <= 120))
    }
    assert.equal((await cli([...command, '--version'])).stdout, `${version}\n`)
    assert.deepEqual(JSON.parse((await cli([...command, '--version', '--json'])).stdout), { version })
  }
})

test('each usage error is one line with a hint, and exit code 2', async (t) => {
  const file = scratch(t)
  const config = file('ok.json', { organization: 'acme' })
  const env = { SPILLWAY_ACCESS_TOKEN: 'token' }
  const known = 'known are demo, simulate, send, ramp, outbox, fleet'
  const table = [
    [[], `spillway: a command is missing; ${known}`],
    [['constructor'], `spillway: unknown command "constructor"; ${known}`],
    [['--json', 'demo'], `spillway: options come after the command; ${known}`],
    [['--nope'], "spillway: Unknown option '--nope'"],
    [['demo', '--nope'], "spillway demo: Unknown option '--nope'"],
    [['demo', 'x'], 'spillway demo: unexpected argument "x"'],
    [['demo', '--speed', '0'], 'spillway demo: --speed must be a number from 0.01 to 1000, got "0"'],
    [['demo', '--speed', 'fast'], 'spillway demo: --speed must be a number from 0.01 to 1000, got "fast"'],
    [['demo', '--file', '/no/such/file'], "spillway demo: /no/such/file can't be read (ENOENT)"],
    [['demo', '--file', file('empty', '\n\n')], /empty has no messages/],
    [
      ['demo', '--file', file('rows', '{"atMs":1,"id":"a","conversationId":"c"}\n{"atMs":-1,"id":"a","conversationId":"c"}')],
      /rows, line 2: must have atMs \(a number, not below 0\), id and conversationId \(texts\)/,
    ],
    [['demo', '--file', file('null', 'null')], /null, line 1: must have atMs/],
    [['simulate', 'x'], 'spillway simulate: unexpected argument "x"'],
    [['simulate', '--port', '-1'], /^spillway simulate: Option '--port' argument is ambiguous/],
    [['simulate', '--port', '65536'], 'spillway simulate: --port must be an integer from 0 to 65535, got "65536"'],
    [['simulate', '--port', '1.5'], 'spillway simulate: --port must be an integer from 0 to 65535, got "1.5"'],
    [['simulate', '--quota', '100'], 'spillway simulate: --quota must be like 100/1s (N/TIME in ms, s, m or h), got "100"'],
    [['simulate', '--config', '/no/such/file'], "spillway simulate: --config /no/such/file can't be read (ENOENT)"],
    [['send'], 'spillway send: a file is missing, or - for standard input'],
    [['send', '-'], 'spillway send: --config FILE is missing'],
    [['send', '-', 'x'], 'spillway send: unexpected argument "x"'],
    [['send', '-', '--config', file('text', 'secret{')], /text is not valid JSON/],
    [['send', '-', '--config', file('list', [])], /list must hold an object/],
    [
      ['send', '-', '--config', config],
      'spillway send: no credentials: set SPILLWAY_CLIENT_ID and SPILLWAY_CLIENT_SECRET, ' + 'or SPILLWAY_ACCESS_TOKEN, in the environment',
      {},
    ],
    [['send', '-', '--config', config], /no credentials/, { SPILLWAY_CLIENT_ID: 'id' }],
    [['send', '-', '--config', config], /both set: which one\?/, { ...env, SPILLWAY_CLIENT_SECRET: 'secret' }],
    [
      ['send', '-', '--config', file('s.json', { credentials: { clientId: 'id', clientSecret: 'secret' } })],
      /must not hold credentials\.clientSecret: put it into SPILLWAY_CLIENT_SECRET/,
    ],
    [
      ['send', '-', '--config', file('t.json', { credentials: { accessToken: 'secret' } })],
      /must not hold credentials\.accessToken: put it into SPILLWAY_ACCESS_TOKEN/,
    ],
  ]
  for (const [args, expected, environment = env] of table) {
    const { code, stdout, stderr, listeners } = await cli(args, { env: environment })
    assert.equal(code, 2, stderr)
    assert.equal(stdout, '')
    assert.equal(listeners, 0)
    assert.match(stderr, /^spillway.*: .* \(see spillway.* --help\)\n$/)
    assert.doesNotMatch(stderr, /secret(?!s|\.)/)
    if (expected instanceof RegExp) assert.match(stderr, expected)
    else assert.ok(stderr.startsWith(`${expected} (`), stderr)
  }
})

test('a Node without util.parseArgs is told by its version', () => {
  const script = `delete require('node:util').parseArgs; process.argv.splice(1, 0, 'spillway', 'demo'); require(${JSON.stringify(require.resolve('../../bin/spillway.js'))})`
  const { status, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' })
  assert.equal(status, 2)
  assert.match(stderr, /^spillway \w*:? ?.*the command line needs Node 18\.3 or newer, this is v\d+/)
})
