'use strict'

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { readdirSync, readFileSync } = require('node:fs')
const { join } = require('node:path')
const { describe, it } = require('node:test')
const { gzipSync } = require('node:zlib')

const express = require('express')
const fastify = require('fastify')

const { createDashboard } = require('../../lib/dashboard/index.js')
const { defer } = require('../defer.js')
const { redis } = require('../fleet/support.js')
const { message, open, simulate } = require('../http/support.js')
const { directory } = require('../store/support.js')
const { until } = require('../until.js')
const { ask, dashboardOf, listen, mount, operate } = require('./support.js')

const PAGE = join(__dirname, '../../lib/dashboard/page')
const GZIPPED_BYTES_MAX = 100_000

async function idle(t, options) {
  return open(t, await simulate(t), options)
}

describe('the page', () => {
  it('has at most 100 kB, compressed, and asks no other host for anything', () => {
    const files = readdirSync(PAGE).filter((name) => !name.endsWith('.txt'))
    const bytes = files.reduce((sum, name) => sum + gzipSync(readFileSync(join(PAGE, name))).length, 0)
    assert.ok(bytes <= GZIPPED_BYTES_MAX, `${bytes} bytes`)
    for (const name of files.filter((one) => !/^(uplot|icon)\./.test(one))) {
      assert.doesNotMatch(readFileSync(join(PAGE, name), 'utf8'), /https?:|innerHTML|\bstyle="|eval\(/, name)
    }
  })

  it('brings uPlot as it was published, with its license', () => {
    const own = (name) => readFileSync(join(PAGE, name), 'utf8')
    const theirs = (name) => readFileSync(join(__dirname, '../../node_modules/uplot', name), 'utf8')
    assert.equal(own('uplot.js'), theirs('dist/uPlot.iife.min.js'))
    assert.equal(own('uplot.css'), theirs('dist/uPlot.min.css'))
    assert.equal(own('uplot.LICENSE.txt'), theirs('LICENSE'))
  })

  it('comes with every file that it names, under a policy without unsafe-inline', async (t) => {
    const { url } = await dashboardOf(t, await idle(t))
    const page = await ask(url)
    assert.equal(page.status, 200)
    const named = [...page.body.matchAll(/(?:href|src)="([\w.-]+)"/g)].map(([, name]) => name)
    assert.ok(named.length >= 5, named.join())
    for (const name of named) {
      const { status, headers } = await ask(url + name)
      assert.equal(status, 200, name)
      for (const directive of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"]) {
        assert.ok(headers['content-security-policy'].split('; ').includes(directive), `${name}: ${directive}`)
      }
      assert.doesNotMatch(headers['content-security-policy'], /unsafe/)
      assert.equal(headers['x-content-type-options'], 'nosniff')
    }
  })

  it('is compressed where that is understood, and not sent again where it is known', async (t) => {
    const { url } = await dashboardOf(t, await idle(t))
    const plain = await ask(`${url}uplot.js`)
    const gzipped = await ask(`${url}uplot.js`, { headers: { 'accept-encoding': 'gzip, br' } })
    assert.equal(gzipped.headers['content-encoding'], 'gzip')
    assert.ok(Number(gzipped.headers['content-length']) < plain.body.length / 2)
    const known = await ask(`${url}uplot.js`, { headers: { 'if-none-match': plain.headers.etag } })
    assert.deepEqual([known.status, known.body], [304, ''])
  })

  for (const [path, status] of [
    ['nothing.js', 404],
    ['uplot.LICENSE.txt', 404],
    ['..%2foptions.js', 404],
    ['letters?organization=none', 404],
  ]) {
    it(`answers ${path} with ${status}`, async (t) => {
      const { url } = await dashboardOf(t, await idle(t))
      assert.equal((await ask(url + path)).status, status)
    })
  }

  it('refuses methods that it has nothing for', async (t) => {
    const { url } = await dashboardOf(t, await idle(t))
    assert.equal((await ask(url, { method: 'POST' })).status, 405)
    assert.equal((await ask(`${url}events`, { method: 'DELETE' })).status, 405)
    assert.equal((await ask(`${url}act`)).status, 302)
  })
})

describe('mounted', () => {
  const HANDLERS = {
    'under a path of node:http': (dashboard) => (request, response) => {
      if (request.url.startsWith('/ops')) dashboard(request, response)
      else response.writeHead(404).end()
    },
    'in Express, which takes the path off': (dashboard) => express().use('/ops', dashboard),
    'in Express, where bodies are parsed before': (dashboard) => express().use(express.json()).use('/ops', dashboard),
  }

  for (const [name, handlerOf] of Object.entries(HANDLERS)) {
    it(name, async (t) => {
      const sender = await idle(t)
      const dashboard = createDashboard([sender], { readOnly: false })
      defer(t, () => dashboard.close())
      const { url } = await mount(t, handlerOf(dashboard))
      await works(t, `${url}ops`, sender)
    })
  }

  it('in Fastify', async (t) => {
    const sender = await idle(t)
    const dashboard = createDashboard([sender], { readOnly: false })
    defer(t, () => dashboard.close())
    const app = fastify({ forceCloseConnections: true })
    app.register(async (scope) => {
      scope.removeAllContentTypeParsers()
      scope.addContentTypeParser('*', (_request, _payload, done) => done(null))
      scope.all('/ops*', (request, reply) => {
        reply.hijack()
        dashboard(request.raw, reply.raw)
      })
    })
    const url = await app.listen({ port: 0, host: '127.0.0.1' })
    defer(t, () => app.close())
    await works(t, `${url}/ops`, sender)
  })

  async function works(t, base, sender) {
    const { organization } = sender.stats()
    const moved = await ask(base)
    assert.equal(moved.status, 302)
    const url = new URL(moved.headers.location, base).href
    assert.equal(url, `${base}/`)
    assert.match((await ask(url)).body, /<title>Spillway<\/title>/)
    const page = await listen(t, `${url}events`)
    assert.equal((await page.row(organization)).level, 'idle')
    assert.equal((await operate(url, { organization, action: 'pause' })).status, 200)
    assert.equal(sender.stats().pause.reason, 'operator')
    assert.equal((await page.row(organization, ({ level }) => level === 'held')).causes[0].kind, 'operator')
  }
})

describe('what a page hears', () => {
  it('is what stats() says, and changes with it', async (t) => {
    const simulator = await simulate(t)
    const sender = await open(t, simulator)
    const { organization } = sender.stats()
    const { url } = await dashboardOf(t, sender)
    const page = await listen(t, `${url}events`)
    const first = await page.row(organization)
    assert.deepEqual([first.counters.delivered, first.queue.messages, first.quota.perSecond], [0, 0, 100_000])
    await Promise.all(['a', 'b', 'c'].map((id) => sender.send(message(id))))
    const row = await page.row(organization, ({ counters }) => counters.delivered === 3)
    assert.deepEqual(row.counters, sender.stats().counters)
    assert.equal(simulator.ledger().accepted, 3)
  })

  it('names what waits longest, why, and what is on the wire', async (t) => {
    const simulator = await simulate(t, { latencyMs: 600_000, authRequired: false })
    const sender = await open(t, simulator, { connections: { max: 1 }, credentials: { accessToken: 'token' } })
    const { organization } = sender.stats()
    const { url } = await dashboardOf(t, sender)
    for (const id of ['a-1', 'a-2', 'b-1']) await sender.enqueue(message(id, id[0]))
    const page = await listen(t, `${url}events?organization=${organization}`)
    const detail = await page.last('detail', ({ requests }) => requests.some(({ sinceMs }) => sinceMs !== null))
    assert.deepEqual(
      detail.waiting.map(({ conversationId, id, messages }) => [conversationId, id, messages]),
      [
        ['a', 'a-1', 2],
        ['b', 'b-1', 1],
      ],
    )
    assert.equal(detail.waiting[0].state, 'in-flight')
    const { reasons } = await sender.explain('b-1')
    assert.deepEqual(
      detail.waiting[1].reasons.map(({ detail: text }) => text),
      reasons.map(({ detail: text }) => text),
    )
    const [request, ...next] = detail.requests
    assert.deepEqual([request.conversationId, request.id, request.attempt, request.messages], ['a', 'a-1', 1, 1])
    assert.match(request.route, /^POST \//)
    for (const { sinceMs } of next) assert.equal(sinceMs, null, 'one connection, and what waits for it')
    const row = await page.row(organization, ({ oldestMs }) => oldestMs !== null)
    // Epoch milliseconds are made of a clock that never jumps: one may be rounded up and the other down.
    assert.ok(Math.abs(row.oldestMs - detail.waiting[0].sinceMs) <= 1)
  })

  it('counts dead letters by reason', async (t) => {
    const sender = await open(t, await simulate(t, { poisonText: 'poison' }))
    const { organization } = sender.stats()
    const { url } = await dashboardOf(t, sender)
    await Promise.allSettled(['a', 'b'].map((id) => sender.send({ id, conversationId: id, body: { text: 'poison' } })))
    const page = await listen(t, `${url}events`)
    const row = await page.row(organization, ({ letters }) => letters?.rejected === 2)
    assert.equal(row.level, 'trouble')
    assert.deepEqual([row.queue.deadLetters, row.causes[0].kind], [2, 'letters'])
  })

  it('has the store, and the fleet where there is one', async (t) => {
    const simulator = await simulate(t)
    const { port } = await redis(t)
    const inFile = await open(t, simulator, { store: `file:${join(directory(t), 'outbox.db')}` })
    const inFleet = await open(t, simulator, { budget: `redis://127.0.0.1:${port}` })
    const { url } = await dashboardOf(t, [inFile, inFleet])
    await inFleet.send(message('a'))
    const page = await listen(t, `${url}events`)
    assert.deepEqual((await page.row(inFile.stats().organization)).store, { recovered: 0, unreadable: 0, setAside: false, problem: null })
    const { fleet, store } = await page.row(inFleet.stats().organization, (row) => row.fleet.hosts === 1)
    assert.deepEqual([fleet.problem, fleet.host, store], [null, inFleet.stats().fleet.host, null])
  })

  it('begins with the last hour, and goes on by samples', async (t) => {
    const sender = await idle(t)
    const { organization } = sender.stats()
    const { url } = await dashboardOf(t, sender)
    const page = await listen(t, `${url}events?organization=${organization}`)
    const { fields, rows } = await page.last('history')
    assert.equal(fields[0], 'atMs')
    assert.equal(rows.length, 1)
    const sample = await page.last('sample')
    assert.equal(sample.length, fields.length)
    assert.ok(sample[0] - rows[0][0] >= 1_000)
  })

  it('has no text of a message, unless bodies are asked for', async (t) => {
    const sender = await open(t, await simulate(t, { poisonText: 'hush' }))
    const { organization } = sender.stats()
    await assert.rejects(sender.send({ id: 'a', conversationId: 'c', body: { text: 'hush hush' } }))
    for (const [options, has] of [
      [{}, false],
      [{ bodies: true }, true],
    ]) {
      const { url } = await dashboardOf(t, sender, options)
      const { letters, more } = (await ask(`${url}letters?organization=${organization}`)).json
      assert.deepEqual([letters.length, letters[0].id, letters[0].reason, more], [1, 'a', 'rejected', false])
      assert.equal(JSON.stringify(letters).includes('hush hush'), has)
      assert.equal('response' in letters[0], has)
    }
  })

  it('follows senders that come and go, and says which are closed', async (t) => {
    const simulator = await simulate(t)
    const senders = [await open(t, simulator), await open(t, simulator)]
    const [kept, left] = senders.map((sender) => sender.stats().organization)
    const { url } = await dashboardOf(t, () => senders)
    const page = await listen(t, `${url}events`)
    await page.row(kept)
    await page.row(left)
    await senders[1].close()
    await page.row(left, ({ level }) => level === 'closed')
    senders.pop()
    await until(() => page.events.some(({ data }) => data.gone?.includes(left)))
  })

  it('stays as it was while the list of senders fails, which is a warning', async (t) => {
    const sender = await idle(t)
    const { organization } = sender.stats()
    let senders = [sender]
    const list = () => {
      if (senders === null) throw new Error('no senders now')
      return senders
    }
    const { url } = await dashboardOf(t, list)
    const page = await listen(t, `${url}events`)
    await page.row(organization)
    const warned = once(process, 'warning')
    senders = null
    const [{ code, message: text }] = await warned
    assert.deepEqual([code, text], ['SPILLWAY_DASHBOARD', 'the dashboard could not read: no senders now'])
    senders = [sender]
    await sender.send(message('a'))
    await page.row(organization, ({ counters }) => counters.delivered === 1)
  })

  it('ends when the dashboard is closed', async (t) => {
    const { url, dashboard } = await dashboardOf(t, await idle(t))
    const page = await listen(t, `${url}events`)
    await page.last('rows')
    dashboard.close()
    await until(() => page.isOver)
  })
})

describe('sender.serveDashboard', () => {
  it('serves the sender on loopback until the sender is closed', async (t) => {
    const sender = await idle(t)
    const { url, close } = await sender.serveDashboard()
    assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/$/)
    assert.match((await ask(url)).body, /Spillway/)
    const page = await listen(t, `${url}events`)
    await page.row(sender.stats().organization)
    await sender.close()
    await until(() => page.isOver)
    await assert.rejects(ask(url), { code: 'ECONNREFUSED' })
    await close()
    await assert.rejects(sender.serveDashboard(), { code: 'CLOSED' })
  })

  it('says which port is taken', async (t) => {
    const sender = await idle(t)
    const { port } = await mount(t, () => {})
    await assert.rejects(sender.serveDashboard({ port }), { name: 'ConfigError', field: 'port', message: /EADDRINUSE/ })
  })
})

describe('createDashboard', () => {
  for (const [what, args, message] of [
    ['no sender', [{}], /senders must be/],
    ['senders of which one is none', [[{}]], /senders must be/],
    ['an unknown option', [[], { readonly: true }], /"readonly" is not a key of options/],
    ['a readOnly that is no boolean', [[], { readOnly: 'no' }], /readOnly must be true or false/],
    ['an authorize that is no function', [[], { authorize: 'act' }], /authorize must be a function/],
    ['a host with a scheme', [[], { hosts: ['https://x.example'] }], /hosts must be names without a scheme/],
    ['a report that is no path', [[], { rampReport: 7 }], /rampReport must be/],
  ]) {
    it(`refuses ${what}`, () => {
      assert.throws(() => createDashboard(...args), { name: 'ConfigError', message })
    })
  }
})
