'use strict'

// docs/grafana: the dashboard and the alert rules, against what senders really expose.

const assert = require('node:assert/strict')
const { copyFileSync, readFileSync, writeFileSync } = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const { describe, it } = require('node:test')

const { Sender } = require('../../index.js')
const { redis } = require('../fleet/support.js')
const { defer, listen, message, open, ROOT, simulate, until } = require('../http/support.js')
const { promtool, startPrometheus } = require('../prometheus.js')
const { directory } = require('../store/support.js')
const { parseExposition } = require('./exposition.js')

const FOLDER = path.join(ROOT, 'docs/grafana')
const RULES = path.join(FOLDER, 'alerts.yml')
const TESTS = path.join(FOLDER, 'alerts.test.yml')
const rules = readFileSync(RULES, 'utf8')
const dashboard = JSON.parse(readFileSync(path.join(FOLDER, 'dashboard.json'), 'utf8'))
const panels = dashboard.panels.filter(({ type }) => type !== 'row')
const alerts = [...rules.matchAll(/^ +- alert: (\w+)\n +expr: (.+)\n( +for: .+\n)?/gm)].map(([, name, expr, waits]) => ({
  name,
  expr,
  waits: waits !== undefined,
}))

const CHOSEN_SOURCE = `$\{datasource}`

/** The metrics that a text names. */
const namesIn = (text) => new Set(text.match(/\bspillway_[a-z_]+/g))

/** Senders that together show every family: one with a file and a dead letter, one that was refused, one of a fleet. */
async function senders(t) {
  const simulator = await simulate(t, { poisonText: 'poison' })
  const kept = await open(t, simulator, { store: `file:${path.join(directory(t), 'outbox.db')}` })
  await kept.send(message('delivered'))
  await kept.send({ conversationId: 'c', body: { text: 'poison' } }).catch(() => {})
  await until(() => kept.stats().counters.deadLetters === 1)
  const strict = await simulate(t, { quota: { requests: 1, perMs: 60_000 }, retryAfter: 'right' })
  const refused = await open(t, strict)
  for (const id of ['first', 'second']) refused.send(message(id)).catch(() => {})
  await until(() => refused.stats().pause !== null)
  const { port } = await redis(t)
  const leased = await open(t, simulator, { budget: `redis://127.0.0.1:${port}`, rateLimit: { requests: 50, perMs: 1_000 } })
  leased.send(message('waits for a lease')).catch(() => {})
  await until(() => leased.stats().fleet.hosts === 1)
  return [kept, refused, leased]
}

describe('the alert rules', { concurrency: true }, () => {
  it('are what promtool takes for right', async () => {
    const told = await promtool('check', 'rules', '--lint=all', '--lint-fatal', RULES)
    assert.match(told, new RegExp(`SUCCESS: ${alerts.length} rules found`))
  })

  it('fire when they should, and are silent otherwise', async () => {
    assert.match(await promtool('test', 'rules', TESTS), /SUCCESS/)
  })

  /** What the unit tests expect and get otherwise when the rules are changed: names of alerts, check by check. */
  async function differences(t, change) {
    const folder = directory(t)
    writeFileSync(path.join(folder, 'alerts.yml'), rules.replace(/^ +- alert: (\w+)\n +expr: .+\n( +for: .+\n)?/gm, change))
    copyFileSync(TESTS, path.join(folder, 'alerts.test.yml'))
    const { stdout, stderr } = await promtool('test', 'rules', path.join(folder, 'alerts.test.yml')).then(assert.fail, (error) => error)
    const namesOf = (line) => new Set([...line.matchAll(/alertname="(\w+)"/g)].map(([, name]) => name))
    const found = [...(stdout + stderr).matchAll(/exp: ?(.+(?:\n +\{.+)*)\n +got: ?(.+(?:\n +\{.+)*)/g)]
    return found.map(([, wanted, got]) => ({ wanted: namesOf(wanted), got: namesOf(got) }))
  }
  const rule = (name, expr, waits = '') => `      - alert: ${name}\n        expr: ${expr}\n${waits}`

  it('have unit tests that notice an alert that never fires', async (t) => {
    const found = await differences(t, (_, name) => rule(name, 'vector(0) == 1'))
    for (const { name } of alerts)
      assert.ok(
        found.some(({ wanted, got }) => wanted.has(name) && !got.has(name)),
        name,
      )
  })

  it('have unit tests that notice an alert that fires whatever the value', async (t) => {
    const always = (name) => `count without (reason) (${[...namesIn(alerts.find((alert) => alert.name === name).expr)][0]}) > 0`
    const found = await differences(t, (_, name, waits) => rule(name, always(name), waits))
    for (const { name } of alerts)
      assert.ok(
        found.some(({ wanted, got }) => !wanted.has(name) && got.has(name)),
        name,
      )
  })

  it('have unit tests that notice an alert that does not wait', async (t) => {
    const found = await differences(t, (whole) => whole.replace(/ +for: .+\n/, ''))
    for (const { name, waits } of alerts) {
      if (waits)
        assert.ok(
          found.some(({ wanted, got }) => !wanted.has(name) && got.has(name)),
          name,
        )
    }
  })
})

describe('the dashboard', () => {
  it('has panels that are told apart and do not cover each other', () => {
    const ids = dashboard.panels.map(({ id }) => id)
    assert.equal(new Set(ids).size, ids.length)
    const covered = new Set()
    for (const { title, gridPos, targets = [] } of dashboard.panels) {
      assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, title)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.ok(x < 24 && !covered.has(`${x} ${y}`), `${title} covers another panel`)
          covered.add(`${x} ${y}`)
        }
      }
    }
  })

  it('reads the source, the organizations and the instances that are chosen', () => {
    assert.deepEqual(
      dashboard.templating.list.map(({ name }) => name),
      ['datasource', 'organization', 'instance'],
    )
    for (const { title, datasource, targets } of panels) {
      for (const { datasource: own, expr } of targets) {
        assert.deepEqual([datasource.uid, own.uid], [CHOSEN_SOURCE, CHOSEN_SOURCE], title)
        for (const [selector] of expr.matchAll(/spillway_\w+(\{[^}]*\})?/g)) {
          assert.match(selector, /\{organization=~"\$organization", instance=~"\$instance"/, title)
        }
      }
    }
  })
})

it('dashboard and rules name metrics of real senders, a Prometheus finds data for each expression, and nothing is left out', async (t) => {
  const all = await senders(t)
  const exposed = new Set(
    [...parseExposition(Sender.metrics(all)).values()]
      .flatMap(({ samples }) => samples.map(({ name }) => name))
      .filter((name) => !/_count$/.test(name)),
  )
  const shown = namesIn(JSON.stringify(panels))
  for (const name of [...shown, ...namesIn(rules)]) assert.ok(exposed.has(name), `${name} is exposed`)
  for (const name of exposed) assert.ok(shown.has(name), `${name} is on the dashboard`)

  const exporter = http.createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' })
    response.end(Sender.metrics(all))
  })
  await listen(t, exporter)
  const prometheus = await startPrometheus({ target: `127.0.0.1:${exporter.address().port}`, rules: [RULES] })
  defer(t, () => prometheus.stop())
  const query = async (expr) => (await prometheus.api(`query?query=${encodeURIComponent(expr)}`)).result
  const asGrafana = (expr) => expr.replaceAll('$__rate_interval', '10s').replace(/\$(organization|instance)/g, '.*')

  for (const { title, targets } of panels) {
    for (const { expr } of targets) assert.ok(await until(async () => (await query(asGrafana(expr))).length > 0), title)
  }
  const shownBy = async (title) => {
    const [{ value }] = await query(asGrafana(panels.find((panel) => panel.title === title).targets[0].expr))
    return Number(value[1])
  }
  const sum = (read) => all.reduce((total, sender) => total + read(sender.stats()), 0)
  assert.equal(await shownBy('Dead letters'), 1)
  assert.equal(await shownBy('Paused organizations'), 1)
  assert.equal(
    await shownBy('Messages in the outbox'),
    sum(({ queue }) => queue.messages),
  )

  // What the variables of the dashboard offer.
  const { activeTargets: targets } = await prometheus.api('targets')
  assert.deepEqual(
    targets.map(({ health }) => health),
    ['up'],
  )
  const organizations = await prometheus.api('label/organization/values')
  assert.deepEqual(organizations, all.map((sender) => sender.stats().organization).sort())

  const { groups } = await until(async () => {
    const found = await prometheus.api('rules')
    return found.groups[0]?.rules.every(({ health }) => health !== 'unknown') && found
  })
  assert.deepEqual(
    groups[0].rules.map(({ name, health }) => [name, health]),
    alerts.map(({ name }) => [name, 'ok']),
  )
})
