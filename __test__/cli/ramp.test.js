'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { describe, it } = require('node:test')

const { Simulator } = require('../../index.js')
const { until } = require('../until.js')
const { assertEnd, row, run, scratch, start } = require('./support.js')

const CREDENTIALS = { clientId: 'ramp', clientSecret: 'ramp-s3cret' }
const ENV = { SPILLWAY_CLIENT_ID: CREDENTIALS.clientId, SPILLWAY_CLIENT_SECRET: CREDENTIALS.clientSecret }

async function stage(t, config) {
  const simulator = await Simulator.start({ credentials: CREDENTIALS, ...config })
  t.after(() => simulator.close())
  const write = scratch(t)
  const options = { organization: 'ramp-cli', apiUrl: simulator.url, loginUrl: simulator.url, route: 'messaging' }
  const file = write('spillway.json', options)
  return { simulator, write, options, file, out: file.replace('spillway.json', 'ramp.html') }
}

describe('spillway ramp', () => {
  it('finds a limit, writes page and data, and verifies the setting with a Sender', async (t) => {
    const { simulator, file, out } = await stage(t, {
      quota: { requests: 15, perMs: 1000, algorithm: 'sliding-log' },
      latencyMs: { min: 2, max: 5 },
    })
    const end = await run(['ramp', '--config', file, '--to', '60/1s', '--out', out, '--verify'], { env: ENV })
    assertEnd(end, 0)
    assert.deepEqual(row(end.stdout, 'limit'), ['15 requests per 1 s'])
    assert.deepEqual(row(end.stdout, 'rateLimit'), ['{ requests: 15, perMs: 1000 }'])
    const report = JSON.parse(fs.readFileSync(out.replace('.html', '.json'), 'utf8'))
    assert.equal(report.verify.throttled, 0)
    assert.equal(report.verify.sent, report.verify.messages)
    assert.equal(report.refusals429, simulator.ledger().refused)
    assert.match(end.stderr, /^ramp {2}/)
    const html = fs.readFileSync(out, 'utf8')
    assert.equal(html.match(/<svg /g).length, 3)
    assert.doesNotMatch(html, /<script|<link|src=|url\(|https?:/)
    for (const text of [html, JSON.stringify(report), end.stdout, end.stderr]) assert.ok(!text.includes(CREDENTIALS.clientSecret))
  })

  it('ends with 3 where nothing broke, 4 where something else did, 6 with its budget', async (t) => {
    const { simulator, file, out } = await stage(t, { latencyMs: 2 })
    const ramp = (...args) => run(['ramp', '--config', file, '--to', '6/200ms', '--out', out, '--json', ...args], { env: ENV })
    const low = await ramp()
    assertEnd(low, 3)
    assert.equal(JSON.parse(low.stdout).ended, 'not-reached')
    assertEnd(await ramp('--max-requests', '4'), 6)
    await simulator.set({ routes: [{ path: '/api/v2/messaging/**', status: 503 }] })
    const failing = await ramp()
    assertEnd(failing, 4)
    assert.equal(JSON.parse(failing.stdout).ended, '5xx')
  })

  it('ends at once with Ctrl-C, with a report', async (t) => {
    const { simulator, file, out } = await stage(t, { routes: [{ path: '/api/v2/messaging/**', status: 200 }], latencyMs: 100 })
    const { child, ended } = start(['ramp', '--config', file, '--to', '10/1h', '--max-minutes', '600', '--out', out], { env: ENV })
    // A second one would end it before its report.
    await until(() => simulator.ledger().arrivals > 0)
    child.kill('SIGINT')
    const end = await ended
    assertEnd(end, 130)
    assert.equal(row(end.stdout, 'ended')[0], 'it was interrupted')
    assert.ok(fs.existsSync(out))
  })

  it('says that the credentials are refused, without a stack and without a report', async (t) => {
    const { file, out } = await stage(t, {})
    const end = await run(['ramp', '--config', file, '--out', out], { env: { ...ENV, SPILLWAY_CLIENT_SECRET: 'wrong' } })
    assertEnd(end, 1)
    assert.match(end.stderr, /^spillway ramp: no access token: the login host answered 4\d\d$/m)
    assert.doesNotMatch(end.stderr, / {4}at /)
    assert.equal(fs.existsSync(out), false)
  })

  it('refuses the hosts of Genesys Cloud without approval, and other hosts without messages', async (t) => {
    const { write, options } = await stage(t, {})
    const { apiUrl, loginUrl, ...others } = options
    const table = [
      [{ ...others, region: 'us-east-1' }, [], 'api.mypurecloud.com belongs to Genesys Cloud, where a load test needs approval'],
      [{ ...others, apiUrl: 'https://api.euw2.pure.cloud' }, [], 'api.euw2.pure.cloud belongs to Genesys Cloud'],
      [{ ...others, region: 'us-east-1' }, ['--approved', 'CASE-1'], '--messages FILE is missing'],
      [{ ...others, region: 'us-east-1' }, ['--approved', ' '], '--approved must name the ticket'],
      [{ ...others, apiUrl: 'https://gateway.invalid' }, [], '--messages FILE is missing'],
      [{ ...others }, [], 'the configuration needs region or apiUrl'],
      [options, ['--to', '100'], '--to must be like 100/1s'],
      [options, ['--to', '100/60s', '--plateau', '1s'], '--plateau must be at least as long as the window of --to'],
      [options, ['--repeat', '0'], '--repeat must be an integer from 1 to 20'],
      [options, ['--demo'], 'one of --config FILE and --demo is needed'],
    ]
    for (const [config, args, says] of table) {
      const end = await run(['ramp', '--config', write('spillway.json', config), ...args], { env: ENV })
      assertEnd(end, 2)
      assert.ok(end.stderr.startsWith(`spillway ramp: ${says}`), end.stderr)
    }
  })
})
