'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { describe, it } = require('node:test')

const { Sender, Simulator } = require('../../index.js')
const { assertEnd, row, run, scratch, start } = require('./support.js')

const CREDENTIALS = { clientId: 'cli-client', clientSecret: 'cli-secret' }
const SECRETS = { SPILLWAY_CLIENT_ID: 'cli-client', SPILLWAY_CLIENT_SECRET: 'cli-secret' }

async function stage(t, config = {}, options = {}) {
  const simulator = await Simulator.start({ credentials: CREDENTIALS, ...config })
  t.after(() => simulator.close())
  const write = scratch(t)
  const file = write('spillway.json', {
    organization: 'cli',
    apiUrl: simulator.url,
    route: 'messaging',
    store: 'memory',
    rateLimit: { requests: 200, perMs: 200 },
    ...options,
  })
  return { simulator, write, config: file }
}

function lines(count, more = () => ({})) {
  return Array.from({ length: count }, (_, seq) => {
    const id = `m${seq + 1}`
    return `${JSON.stringify({ id, conversationId: `c${seq % 7}`, body: { id, seq, text: `text ${seq}` }, ...more(seq) })}\n`
  }).join('')
}

describe('spillway send', () => {
  it('sends a file, with the secrets of the environment: exit code 0', async (t) => {
    const { simulator, write, config } = await stage(t)
    const end = await run(['send', write('in.jsonl', lines(300)), '--config', config], { env: SECRETS })
    assertEnd(end, 0)
    for (const [label, value] of [
      ['messages', '300'],
      ['delivered', '300'],
      ['dead letters', '0'],
      ['not delivered', '0'],
      ['duplicates recognized', '0'],
    ]) {
      assert.deepEqual(row(end.stdout, label), [value])
    }
    assert.match(end.stderr, /^spillway {2}\d+\.\d s {2}300\/300 {2}/m)
    const { uniqueIds, orderViolations, maxInFlightPerConversation } = simulator.ledger()
    assert.deepEqual(
      { uniqueIds, orderViolations, maxInFlightPerConversation },
      { uniqueIds: 300, orderViolations: 0, maxInFlightPerConversation: 1 },
    )
  })

  it('sends standard input, with an access token, and prints JSON', async (t) => {
    const { simulator, config } = await stage(t, { authRequired: false })
    const end = await run(['send', '-', '--config', config, '--json'], {
      env: { SPILLWAY_ACCESS_TOKEN: 'a-token' },
      stdin: `${lines(20)}\n\r\n${lines(5)}`,
    })
    assertEnd(end, 0)
    const { messages, delivered, failed, deadLetters, duplicates, undelivered } = JSON.parse(end.stdout)
    assert.deepEqual(
      { messages, delivered, failed, deadLetters, duplicates, undelivered },
      { messages: 25, delivered: 25, failed: 0, deadLetters: [], duplicates: 5, undelivered: 0 },
    )
    assert.equal(simulator.ledger().uniqueIds, 20)
    assert.equal(simulator.ledger().tokenRequests, 0)
  })

  it('lists dead letters in the order of the input, without their texts: exit code 1', async (t) => {
    const { write, config } = await stage(t, { poisonText: 'poison' })
    const bad = (seq) => (seq === 3 || seq === 8 ? { body: { text: 'poison-canary' } } : {})
    const file = write('in.jsonl', lines(10, bad))
    const end = await run(['send', file, '--config', config], { env: SECRETS })
    assertEnd(end, 1)
    assert.deepEqual([row(end.stdout, 'delivered'), row(end.stdout, 'dead letters')], [['8'], ['2']])
    const [, list] = end.stdout.split('\n\n')
    assert.deepEqual(
      list
        .trim()
        .split('\n')
        .map((line) => line.split(/ {3,}/)),
      [
        ['id', 'conversation', 'reason', 'status'],
        ['m4', 'c3', 'rejected', '400'],
        ['m9', 'c1', 'rejected', '400'],
      ],
    )
    assert.ok(!`${end.stdout}${end.stderr}`.includes('canary'))

    const json = await run(['send', file, '--config', config, '--json'], { env: SECRETS })
    assertEnd(json, 1)
    assert.deepEqual(JSON.parse(json.stdout).deadLetters, [
      { id: 'm4', conversationId: 'c3', reason: 'rejected', status: 400 },
      { id: 'm9', conversationId: 'c1', reason: 'rejected', status: 400 },
    ])
  })

  it('names a bad line; what came before it is delivered: exit code 2', async (t) => {
    const { simulator, write, config } = await stage(t)
    for (const [line, says] of [
      ['{"conversationId":', 'line 21: not valid JSON'],
      ['[]', 'line 21: message must be an object, got an array'],
      ['{"body":{}}', 'line 21: conversationId must be a non-empty string of at most 512 UTF-8 bytes, got undefined'],
      ['{"conversationId":"c","body":{},"prio":1}', 'line 21: "prio" is not a key of message'],
      ['{"conversationId":"c","body":"\\ud800"}', 'line 21: body must hold no lone surrogate'],
    ]) {
      const file = write('in.jsonl', `${lines(20)}${line}\n${lines(1)}`)
      const end = await run(['send', file, '--config', config], { env: SECRETS })
      assertEnd(end, 2)
      assert.ok(end.stderr.includes(`spillway send: ${file}, ${says}`), end.stderr)
      assert.deepEqual(row(end.stdout, 'delivered'), ['20'])
    }
    assert.equal(simulator.ledger().uniqueIds, 20)

    // What only the engine can tell comes back a little later; the line is named all the same.
    const file = write('in.jsonl', `${lines(20)}{"conversationId":"..","body":{}}\n`)
    const end = await run(['send', file, '--config', config], { env: SECRETS })
    assertEnd(end, 2)
    assert.ok(end.stderr.includes(`${file}, line 21: conversationId must not be empty, "." or ".."`), end.stderr)
  })

  it('refuses wrong settings before anything is sent: exit code 2', async (t) => {
    const { simulator, write } = await stage(t)
    const good = { organization: 'cli', apiUrl: simulator.url, route: 'messaging', store: 'memory', rateLimit: { requests: 5, perMs: 5 } }
    const file = write('in.jsonl', lines(3))
    for (const [settings, env, says] of [
      [{ ...good, store: undefined }, SECRETS, 'it must be chosen, since it decides what survives'],
      [{ ...good, retry: { attempts: 5 } }, SECRETS, 'retry.attempts is not an option'],
      [{ ...good, rateLimit: 'learned' }, SECRETS, 'rateLimit must be "learn", { requests, perMs }'],
      [
        { ...good, credentials: { clientSecret: 'cli-secret' } },
        SECRETS,
        'must not hold credentials.clientSecret: put it into SPILLWAY_CLIENT_SECRET',
      ],
      [
        { ...good, credentials: { accessToken: 'a-token' } },
        {},
        'must not hold credentials.accessToken: put it into SPILLWAY_ACCESS_TOKEN',
      ],
      [good, {}, 'no credentials: set SPILLWAY_CLIENT_ID and SPILLWAY_CLIENT_SECRET, or SPILLWAY_ACCESS_TOKEN, in the environment'],
      [good, { ...SECRETS, SPILLWAY_ACCESS_TOKEN: 't' }, 'are both set: which one?'],
      ['{', SECRETS, 'is not valid JSON'],
      ['[]', SECRETS, 'must hold an object'],
    ]) {
      const end = await run(['send', file, '--config', write('config.json', settings)], { env })
      assertEnd(end, 2)
      assert.ok(end.stderr.includes(says), end.stderr)
      assert.equal(end.stdout, '')
      assert.ok(!end.stderr.includes('cli-secret') && !end.stderr.includes('a-token'), end.stderr)
    }
    const missing = await run(['send', '/no/such/file', '--config', write('config.json', good)], { env: SECRETS })
    assertEnd(missing, 2)
    assert.ok(missing.stderr.includes("/no/such/file can't be read (ENOENT)"), missing.stderr)
    assert.equal(simulator.ledger().arrivals, 0)
  })

  it('says that the credentials are refused: exit code 1', async (t) => {
    const { write, config } = await stage(t)
    const env = { ...SECRETS, SPILLWAY_CLIENT_SECRET: 'another-secret' }
    const end = await run(['send', write('in.jsonl', lines(3)), '--config', config], { env })
    assertEnd(end, 1)
    assert.match(end.stderr, /outage \(auth\): the login host answered \d+/)
    assert.ok(!end.stderr.includes('another-secret'))
    assert.deepEqual([row(end.stdout, 'delivered'), row(end.stdout, 'not delivered')], [['0'], ['3']])
  })

  it('ends at the first Ctrl-C, with what was not delivered', { skip: process.platform === 'win32' }, async (t) => {
    const { simulator, write, config } = await stage(t, {}, { rateLimit: { requests: 10, perMs: 1_000 } })
    const { child, ended } = start(['send', write('in.jsonl', lines(500)), '--config', config], { env: SECRETS })
    while (simulator.ledger().accepted < 5) await new Promise((resolve) => setTimeout(resolve, 10))
    child.kill('SIGINT')
    const end = await ended
    assertEnd(end, 130)
    assert.match(end.stderr, /interrupted: 4\d\d messages were not delivered/)
  })

  it('says what a damaged file has lost, which is no outage: exit code 1', async (t) => {
    const { write, config, simulator } = await stage(t, { refuse: true })
    const path = write('outbox.db', '')
    const options = { ...JSON.parse(fs.readFileSync(config, 'utf8')), store: `file:${path}` }
    const first = await Sender.open({ ...options, loginUrl: simulator.url, credentials: CREDENTIALS })
    const body = { text: 'x'.repeat(300) }
    await Promise.all(Array.from({ length: 60 }, (_, n) => first.enqueue({ id: `old-${n}`, conversationId: `old-${n}`, body })))
    await first.close({ timeoutMs: 0 })
    await simulator.set({ refuse: false })
    const bytes = fs.readFileSync(path)
    const PAGE = 4_096
    // A page of a table's rows, somewhere in the middle: all of those are lost.
    const isLeaf = (page) => bytes[page * PAGE] === 13 && bytes.subarray(page * PAGE, (page + 1) * PAGE).includes('xxxxxxxx')
    const leaves = Array.from({ length: bytes.length / PAGE }, (_, page) => page).filter(isLeaf)
    const lost = leaves[leaves.length >> 1] * PAGE
    fs.writeFileSync(path, bytes.fill(0xaa, lost, lost + PAGE))
    const damaged = write('damaged.json', options)
    const end = await run(['send', write('in.jsonl', lines(2)), '--config', damaged], { env: SECRETS })
    assertEnd(end, 1)
    const [[unreadable], undelivered, letters] = ['unreadable in the file', 'not delivered', 'dead letters'].map((label) =>
      row(end.stdout, label),
    )
    assert.ok(Number(unreadable) > 0, end.stdout)
    assert.deepEqual([undelivered, letters], [['0'], ['0']])
    assert.match(end.stderr, /^store: the damaged file is set aside at /m)
    assert.doesNotMatch(end.stderr, /is over/)
  })

  it('lists dead letters among what an earlier run left: exit code 1', async (t) => {
    const { simulator, write } = await stage(t, { refuse: true, poisonText: 'poison' })
    const store = `file:${write('outbox.db', '')}`
    const settings = { organization: 'cli', apiUrl: simulator.url, route: 'messaging', store, rateLimit: { requests: 200, perMs: 200 } }
    const earlier = await Sender.open({ ...settings, loginUrl: simulator.url, credentials: CREDENTIALS })
    await earlier.enqueue({ id: 'old', conversationId: 'c', body: { id: 'old', seq: 0, text: 'poison' } })
    await earlier.enqueue({ id: 'fine', conversationId: 'd', body: { id: 'fine', seq: 0, text: 'fine' } })
    await earlier.close({ timeoutMs: 0 })
    await simulator.set({ refuse: false })
    const config = write('store.json', settings)

    const end = await run(['send', '-', '--config', config, '--json'], { env: SECRETS, stdin: lines(1) })
    assertEnd(end, 1)
    const { messages, recovered, delivered, failed, undelivered, deadLetters } = JSON.parse(end.stdout)
    assert.deepEqual(
      { messages, recovered, delivered, failed, undelivered },
      { messages: 1, recovered: 2, delivered: 1, failed: 1, undelivered: 0 },
    )
    assert.deepEqual(deadLetters, [{ id: 'old', conversationId: 'c', reason: 'rejected', status: 400 }])
    const again = await run(['send', '-', '--config', config], { env: SECRETS, stdin: lines(1) })
    assertEnd(again, 0)
    assert.ok(!again.stdout.includes('earlier run'), again.stdout)
  })
})
