'use strict'

const assert = require('node:assert/strict')
const { describe, it } = require('node:test')

const { ask, listen } = require('../dashboard/support.js')
const { assertEnd, run, scratch, start } = require('./support.js')

const skip = process.platform === 'win32'

describe('spillway simulate --ui', () => {
  it('serves a dashboard of organizations in trouble, and one that sends to the simulator', { skip }, async (t) => {
    const { child, ended, printed } = start(['simulate', '--ui', '--quota', '100/1s'])
    const [, url] = await printed(/^dashboard at (http:\/\/127\.0\.0\.1:\d+\/)$/m)
    const page = await listen(t, `${url}events`)
    await page.row('simulated', ({ counters }) => counters.delivered > 0)
    await page.row('soylent', ({ level }) => level === 'down')
    await page.row('oscorp', ({ level }) => level === 'held')
    await page.row('umbrella', ({ level }) => level === 'trouble')
    assert.equal((await ask(`${url}session`)).json.acts, 'all')
    child.kill('SIGINT')
    const end = await ended
    assertEnd(end, 0)
    assert.match(end.stdout, /^accepted +\d/m)
  })
})

describe('spillway demo --ui', () => {
  const LINE = { atMs: 0, id: 'a', conversationId: 'c', seq: 1, type: 'Text', direction: 'Inbound', from: 'x', text: 'hello' }

  it('shows the demo, and stays when it is over until Ctrl-C', { skip }, async (t) => {
    const file = scratch(t)('peak.jsonl', `${JSON.stringify(LINE)}\n`)
    const { child, ended, printed } = start(['demo', '--ui', '--file', file])
    const [, url] = await printed(/^dashboard at (\S+)$/m)
    await printed(/^All is sent\./m)
    const page = await listen(t, `${url}events`)
    await page.row('demo', ({ counters }) => counters.delivered === 1)
    child.kill('SIGINT')
    const end = await ended
    assertEnd(end, 0)
    assert.match(end.stdout, /^delivered +1$/m)
  })

  for (const other of [['--compare'], ['--hosts', '2']]) {
    it(`goes not with ${other.join(' ')}`, async () => {
      const end = await run(['demo', '--ui', ...other])
      assert.deepEqual([end.code, end.stdout], [2, ''])
      assert.match(end.stderr, /--ui goes with neither --compare nor --hosts/)
    })
  }
})
