'use strict'

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const fs = require('node:fs')
const { join } = require('node:path')
const { describe, it } = require('node:test')

const { directory, message, open, optionsFor, PATIENCE_MS, Sender, simulate, start, until } = require('../store/support.js')
const { assertEnd, ROOT, row, run } = require('./support.js')

const SECRET = 'what nobody may read by chance'
const LATER_MS = 3_600_000
const ISO = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/

const secret = (id, conversationId, fields = {}) => ({ id, conversationId, body: { id, text: SECRET }, ...fields })
const lines = (text) =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))

/** Runs `spillway outbox`, which ends with this code; gives what it printed. */
async function outbox(args, code = 0) {
  const end = await run(['outbox', ...args])
  assertEnd(end, code)
  if (code === 0) assert.equal(end.stderr, '')
  return end
}

/** A file with a delivered message, two dead letters and three messages that wait; its sender has it open. */
async function filled(t) {
  const simulator = await simulate(t, { poisonText: SECRET })
  const file = join(directory(t), 'outbox.db')
  const options = optionsFor(simulator, file)
  const sender = await open(t, options)
  await sender.send(message('done', 'c0', 1))
  for (const id of ['bad-1', 'bad-2']) await assert.rejects(sender.send(secret(id, id)), { code: 'DELIVERY_REJECTED' })
  for (const id of ['m1', 'm2', 'm3']) await sender.enqueue(secret(id, `of-${id}`, { notBefore: Date.now() + LATER_MS }))
  return { simulator, file, options, sender }
}

/** What every reading verb prints, as text and as JSON. */
async function readAll(file, extra = []) {
  const verbs = { ls: [], show: ['bad-1'], stats: [], dead: [], export: [], check: [] }
  const printed = {}
  for (const [verb, args] of Object.entries(verbs)) {
    const bodies = ['stats', 'check'].includes(verb) ? [] : extra
    printed[verb] = (await outbox([file, verb, ...args, ...bodies])).stdout
    printed[`${verb} --json`] = (await outbox([file, verb, ...args, ...bodies, '--json'])).stdout
  }
  return printed
}

function assertRead(printed, owner) {
  const rows = printed.ls.split('\n')
  assert.deepEqual(rows[0].split(/ {3,}/), ['number', 'id', 'conversation', 'state', 'attempts', 'bytes', 'accepted', 'age'])
  assert.equal(rows.length, 5)
  assert.match(rows[1], /^4 +m1 +of-m1 +waiting +0 +\d+ +/)
  assert.match(rows[1], ISO)
  assert.deepEqual(
    lines(printed['ls --json']).map(({ seq, id, state }) => [seq, id, state]),
    [
      [4, 'm1', 'waiting'],
      [5, 'm2', 'waiting'],
      [6, 'm3', 'waiting'],
    ],
  )

  assert.match(printed.dead.split('\n')[1], /^1 +bad-1 +bad-1 +rejected +400 +1 +/)
  assert.deepEqual(
    lines(printed['dead --json']).map(({ id, reason, status }) => [id, reason, status]),
    [
      ['bad-1', 'rejected', 400],
      ['bad-2', 'rejected', 400],
    ],
  )

  assert.match(printed.show, /^dead letter\n/)
  assert.equal(row(printed.show, 'conversation id')[0], 'bad-1')
  assert.equal(lines(printed['show --json'])[0].kind, 'letter')

  const stats = JSON.parse(printed['stats --json'])
  assert.equal(stats.owner, owner)
  assert.deepEqual([stats.messages.count, stats.letters.count, stats.receipts.count, stats.lastSeq], [3, 2, 1, 6])
  assert.deepEqual(stats.letters.reasons, { rejected: 2 })
  assert.equal(row(printed.stats, 'opened by')[0], owner === null ? 'nobody' : `process ${owner}`)
  assert.equal(row(printed.stats, 'their reasons')[0], '2 × rejected')

  assert.deepEqual(
    lines(printed['export --json']).map(({ kind, id }) => [kind, id]),
    [
      ['message', 'm1'],
      ['message', 'm2'],
      ['message', 'm3'],
      ['letter', 'bad-1'],
      ['letter', 'bad-2'],
      ['receipt', 'done'],
    ],
  )
  assert.equal(printed.export, printed['export --json'])

  assert.equal(row(printed.check, 'verdict')[0], 'all as it was written')
  assert.deepEqual(JSON.parse(printed['check --json']), {
    ok: true,
    checked: { messages: 3, flights: 0, letters: 2, receipts: 1 },
    problems: [],
  })
}

describe('spillway outbox', () => {
  it('reads the file beside its owner and after it, and changes nothing', async (t) => {
    const { file, sender } = await filled(t)
    assertRead(await readAll(file), process.pid)
    await sender.close({ timeoutMs: 0 })
    const before = fs.readFileSync(file)
    const names = fs.readdirSync(join(file, '..'))
    assertRead(await readAll(file), null)
    assertRead(await readAll(`file:${file}?durability=process-crash`), null)
    assert.deepEqual(fs.readFileSync(file), before)
    assert.deepEqual(fs.readdirSync(join(file, '..')), names)
    const modes = process.platform === 'win32' ? [] : names.map((name) => fs.statSync(join(file, '..', name)).mode & 0o777)
    assert.ok(
      modes.every((mode) => mode === 0o600),
      `${names}: ${modes}`,
    )
  })

  it('shows texts with --bodies alone', async (t) => {
    const { file, sender } = await filled(t)
    await sender.close({ timeoutMs: 0 })
    for (const [verb, text] of Object.entries(await readAll(file))) assert.ok(!text.includes(SECRET), verb)
    const shown = await readAll(file, ['--bodies'])
    for (const verb of ['ls', 'dead', 'show', 'export']) {
      assert.ok(shown[verb].includes(SECRET), verb)
      assert.ok(shown[`${verb} --json`].includes(SECRET), verb)
    }
    assert.deepEqual(lines(shown['ls --json'])[0].body, { id: 'm1', text: SECRET })
  })

  it('redrives and drops what the next sender then delivers, or not', async (t) => {
    const { simulator, file, options, sender } = await filled(t)
    await sender.close({ timeoutMs: 0 })
    assert.equal((await outbox([file, 'redrive', 'bad-2'])).stdout, '"bad-2" waits again, as number 7\n')
    assert.deepEqual(JSON.parse((await outbox([file, 'drop', 'bad-1', '--json'])).stdout), { id: 'bad-1' })
    assert.equal((await outbox([file, 'dead'])).stdout, 'no dead letters\n')
    for (const [verb, what] of [
      ['redrive', 'dead letter'],
      ['drop', 'dead letter'],
      ['show', 'message, dead letter or receipt'],
    ]) {
      const { stdout, stderr } = await outbox([file, verb, 'bad-1'], 1)
      assert.deepEqual([stdout, stderr.split(' the id ')[0]], ['', `spillway outbox: no ${what} has`])
    }

    await simulator.set({ poisonText: null })
    const next = await Sender.open(options)
    const delivered = []
    next.on('delivered', ({ id }) => delivered.push(id))
    assert.equal(next.recovered, 4)
    await until(() => delivered.length > 0)
    assert.deepEqual(delivered, ['bad-2'])
    await next.close({ timeoutMs: 0 })
    const { uniqueIds } = simulator.ledger()
    assert.equal(uniqueIds, 2)
    assert.equal(lines((await outbox([file, 'show', 'bad-2', '--json'])).stdout)[0].kind, 'receipt')
  })

  it('redrives all', async (t) => {
    const { simulator, file, options, sender } = await filled(t)
    await sender.close({ timeoutMs: 0 })
    assert.equal((await outbox([file, 'redrive', '--all'])).stdout, '2 dead letters wait again\n')
    assert.deepEqual(JSON.parse((await outbox([file, 'redrive', '--all', '--json'])).stdout), { redriven: 0, waiting: 0, damaged: 0 })
    await simulator.set({ poisonText: null })
    const next = await Sender.open(options)
    const delivered = []
    next.on('delivered', ({ id }) => delivered.push(id))
    await until(() => delivered.length === 2)
    await next.close({ timeoutMs: 0 })
    assert.deepEqual(delivered.sort(), ['bad-1', 'bad-2'])
    assert.equal((await outbox([file, 'check'])).stderr, '')
  })

  it('redrives what a filter takes', async (t) => {
    const { file, sender } = await filled(t)
    await sender.close({ timeoutMs: 0 })
    const none = { redriven: 0, waiting: 0, damaged: 0 }
    const redriven = async (...args) => JSON.parse((await outbox([file, 'redrive', ...args, '--json'])).stdout)
    assert.deepEqual(await redriven('--reason', 'exhausted'), none)
    assert.deepEqual(await redriven('--status', '403'), none)
    assert.deepEqual(await redriven('--since', String(Date.now())), none)
    await outbox([file, 'drop', 'bad-2'])
    const since = new Date(Date.now() - LATER_MS).toISOString()
    assert.deepEqual(await redriven('--reason', 'rejected', '--status', '400', '--since', since), { ...none, redriven: 1 })
    assert.equal((await outbox([file, 'redrive', '--reason', 'rejected'])).stdout, '0 dead letters wait again\n')
  })

  it('pauses and resumes the next sender', async (t) => {
    const { file, options, sender, simulator } = await filled(t)
    await sender.close({ timeoutMs: 0 })
    const held = async () => row((await outbox([file, 'stats'])).stdout, 'paused by an operator')[0]
    assert.equal(await held(), 'no')
    assert.equal((await outbox([file, 'pause'])).stdout, 'the next sender is paused until it is resumed\n')
    assert.match(await held(), /^since .*, until somebody ends it$/)
    const next = await Sender.open(options)
    const sent = next.send(message('new', 'of-new', 9))
    sent.catch(() => {})
    assert.deepEqual([next.stats().pause.reason, next.stats().pause.untilMs], ['operator', null])
    await next.close({ timeoutMs: 0 })
    assert.equal(simulator.ledger().uniqueIds, 1, 'nothing has left since')
    const until = new Date(Date.now() + LATER_MS).toISOString()
    assert.deepEqual(JSON.parse((await outbox([file, 'pause', '--until', until, '--json'])).stdout), { untilMs: Date.parse(until) })
    assert.match(await held(), /^since .*, until .*\(in \d+ (min|h)\)$/)
    const hold = JSON.parse((await outbox([file, 'stats', '--json'])).stdout).budget.hold
    assert.ok(Math.abs(hold.untilMs - Date.parse(until)) < 1_000)
    assert.equal((await outbox([file, 'resume'])).stdout, 'the next sender is no longer paused\n')
    assert.deepEqual(JSON.parse((await outbox([file, 'resume', '--json'])).stdout), { resumed: false })
    assert.equal(await held(), 'no')
    const last = await open(t, options)
    assert.equal(last.stats().pause, null)
  })

  it('leaves changes to a running owner, and says who that is', async (t) => {
    const { file } = await filled(t)
    for (const args of [
      ['redrive', 'bad-1'],
      ['redrive', '--all'],
      ['redrive', '--status', '400'],
      ['drop', 'bad-1'],
      ['pause'],
      ['resume'],
    ]) {
      const { stdout, stderr } = await outbox([file, ...args], 1)
      assert.equal(stdout, '')
      assert.match(
        stderr,
        new RegExp(`^spillway outbox: the store .*outbox\\.db is in use by process ${process.pid}; .*sender\\.redrive\\(\\)`),
      )
    }
    assert.equal(lines((await outbox([file, 'dead', '--json'])).stdout).length, 2)
  })

  it('reads what an owner that was killed has left', { skip: process.platform === 'win32' }, async (t) => {
    const simulator = await simulate(t, { refuse: true })
    const file = join(directory(t), 'outbox.db')
    const { child, first, ended } = start('flow.js', { options: optionsFor(simulator, file), firstSeq: 0, conversations: 3 })
    await first
    child.kill('SIGKILL')
    const accepted = (await ended).lines
    const waiting = new Set(lines((await outbox([file, 'ls', '--json'])).stdout).map(({ id }) => id))
    assert.ok(accepted.length > 0 && accepted.every((id) => waiting.has(id)))
    const stats = JSON.parse((await outbox([file, 'stats', '--json'])).stdout)
    assert.deepEqual([stats.owner, stats.closed, stats.messages.count], [null, false, waiting.size])
    assert.deepEqual(JSON.parse((await outbox([file, 'check', '--json'])).stdout).ok, true)
  })

  it('says what is wrong with a file, and what to do', async (t) => {
    const folder = directory(t)
    const path = (name, content) => {
      fs.writeFileSync(join(folder, name), content, { mode: 0o600 })
      return join(folder, name)
    }
    const table = [
      [join(folder, 'missing.db'), "missing.db isn't there; check the path"],
      [folder, 'is a directory or a device, not a file'],
      [path('empty.db', ''), 'is empty: no sender has used it yet'],
      [path('text.db', `no database, but ${SECRET}`.repeat(100)), 'is not an outbox, and no database either; choose another path'],
    ]
    const before = fs.readdirSync(folder)
    for (const [file, says] of table) {
      for (const args of [['ls'], ['stats', '--json'], ['check'], ['export'], ['redrive', '--all'], ['drop', 'x']]) {
        const { stdout, stderr } = await outbox([file, ...args], 1)
        assert.equal(stdout, '')
        assert.ok(stderr.startsWith('spillway outbox: the store ') && stderr.includes(says), stderr)
        assert.ok(!stderr.includes(SECRET) && stderr.trim().split('\n').length === 1, stderr)
      }
    }
    assert.deepEqual(
      fs.readdirSync(folder).filter((name) => !name.endsWith('-lock')),
      before,
    )
  })

  it('check finds damage, with exit code 1', async (t) => {
    const { file, sender } = await filled(t)
    await sender.close({ timeoutMs: 0 })
    const bytes = fs.readFileSync(file)
    const at = bytes.indexOf(SECRET)
    bytes[at] ^= 1
    fs.writeFileSync(file, bytes)
    const { stdout } = await outbox([file, 'check'], 1)
    assert.match(row(stdout, 'verdict')[0], /^[12] kinds of problems$/)
    assert.match(stdout, /1 × (messages|dead letters) that are not as they were written: number \d/)
    const verdict = JSON.parse((await outbox([file, 'check', '--json'], 1)).stdout)
    assert.equal(verdict.ok, false)
    assert.ok(!stdout.includes(SECRET.slice(1)))
  })

  it('streams to a reader that is slow, or has seen enough', async (t) => {
    const simulator = await simulate(t, { refuse: true })
    const file = join(directory(t), 'outbox.db')
    const sender = await Sender.open(optionsFor(simulator, file))
    const later = { notBefore: Date.now() + LATER_MS }
    await Promise.all(Array.from({ length: 5_000 }, (_, seq) => sender.enqueue({ ...message(`m${seq}`, `c${seq}`, seq), ...later })))
    await sender.close({ timeoutMs: 0 })
    assert.equal((await outbox([file, 'ls'])).stdout.split('\n').length, 5_002)
    const exported = lines((await outbox([file, 'export'])).stdout)
    assert.deepEqual(
      exported.map(({ seq }) => seq),
      Array.from({ length: 5_000 }, (_, index) => index + 1),
    )

    const child = spawn(process.execPath, [join(ROOT, 'bin/spillway.js'), 'outbox', file, 'export'], { timeout: PATIENCE_MS })
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text
    })
    child.stdout.once('data', () => child.stdout.destroy())
    const [code, signal] = await new Promise((resolve) => child.on('close', (...end) => resolve(end)))
    assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' })
  })

  it('a wrong command line says what is wrong', async () => {
    const known = 'known are ls, show, stats, dead, redrive, drop, pause, resume, export, check, backup, mark-sent, set-aside, discard'
    const table = [
      [[], 'the path of the file is missing'],
      [['f'], `what to do is missing; ${known}`],
      [['f', 'rm'], `unknown "rm"; ${known}`],
      [['f', 'toString'], `unknown "toString"; ${known}`],
      [['f', 'ls', 'x'], 'unexpected argument "x"'],
      [['f', 'show', 'x', 'y'], 'unexpected argument "y"'],
      [['f', 'show'], 'show needs the ID of a message'],
      [['f', 'drop'], 'drop needs the ID of a dead letter'],
      [['f', 'redrive'], 'redrive needs the ID of a dead letter, or --all'],
      [['f', 'redrive', 'x', '--all'], 'redrive takes an ID or --all, not both'],
      [['f', 'drop', '--all'], 'drop takes no --all'],
      [['f', 'drop', '--status', '403'], 'drop takes no --status'],
      [['f', 'redrive', 'x', '--status', '403'], 'redrive takes an ID or --status, not both'],
      [['f', 'redrive', '--all', '--since', '1'], 'redrive takes --all or --since, not both'],
      [['f', 'redrive', '--status', '4'], '--status must be an integer from 100 to 999, got "4"'],
      [['f', 'redrive', '--reason', 'bad'], '--reason must be one of rejected, exhausted, expired, ambiguous, aborted, got "bad"'],
      [
        ['f', 'redrive', '--since', 'today'],
        '--since must be a time that is over, like 2026-11-29T22:05:00Z, or its milliseconds since 1970, got "today"',
      ],
      [
        ['f', 'pause', '--until', '2020-01-01'],
        '--until must be a time to come, within 30 days, like 2026-11-29T22:05:00Z, or its milliseconds since 1970, got "2020-01-01"',
      ],
      [['f', 'resume', 'x'], 'unexpected argument "x"'],
      [['f', 'stats', '--bodies'], 'stats takes no --bodies'],
      [['f', 'ls', '--body'], "Unknown option '--body'"],
    ]
    for (const [args, says] of table) {
      const { stdout, stderr } = await outbox(args, 2)
      assert.deepEqual([stdout, stderr], ['', `spillway outbox: ${says} (see spillway outbox --help)\n`])
    }
  })
})
