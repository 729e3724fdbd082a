'use strict'

// Every fenced block of README.md and of the pages that PAGES names is run, or compared with what really comes out. A comment before a block says what it is:
//
//   <!-- snippet: quick start -->                  runs as a module
//   <!-- snippet: continues the quick start -->   runs inside the quick start, before its last line
//   <!-- snippet: stands alone -->                 runs as a module
//   <!-- snippet: weather -->                      runs as a module
//   <!-- snippet: outbox -->                       runs as a module, twice on one file
//   <!-- snippet: adapters -->                     runs as a module, given an open `sender` and its `apiUrl`
//   <!-- snippet: clients -->                      runs as a module, against a simulator that knows its two OAuth clients
//   <!-- file: NAME -->                            is a file that the commands of the `sh` blocks find
//
// One thing alone is rewritten: the region becomes the URL of a simulator.

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const fs = require('node:fs')
const { tmpdir } = require('node:os')
const { dirname, join } = require('node:path')
const { after, before, describe, it } = require('node:test')

const { Simulator } = require('../../index.js')
const manifest = require('../../package.json')
const { PATIENCE_MS, until } = require('../until.js')

const ROOT = join(__dirname, '../..')
const PAGES = [
  'README.md',
  ...['adapters', 'cli', 'durability', 'errors', 'learning', 'observability', 'ramp', 'requests', 'testing'].map(
    (name) => `docs/${name}.md`,
  ),
]
/** Pages whose blocks have tests of their own, in this folder. */
const TESTED_ELSEWHERE = ['docs/dashboard.md', 'docs/deployment.md', 'docs/migrating.md']
const DOCUMENTS = fs
  .readdirSync(join(ROOT, 'docs'), { recursive: true })
  .filter((name) => name.endsWith('.md'))
  .map((name) => join('docs', name))
const read = (name) => fs.readFileSync(join(ROOT, name), 'utf8')
const FENCE = /(?:<!-- (?<mark>[^\n]+) -->\n)?```(?<language>\w*)\n(?<text>[\s\S]*?)\n```\n/g
const REGION_IN_CODE = "  region: 'us-east-1',\n"
const REGION_IN_JSON = '"region": "us-east-1"'
const LAST_LINE = 'await sender.close()'
const CREDENTIALS = { clientId: 'readme', clientSecret: 'not-a-secret' }

const blocks = PAGES.flatMap((name) => [...read(name).matchAll(FENCE)]).map(({ groups }) => groups)
const marked = (mark) => blocks.filter((block) => block.mark === `snippet: ${mark}`).map(({ text }) => text)
const [quickStart] = marked('quick start')

/** The one part of a text that is rewritten must be there once. */
function replaceOnce(text, part, replacement) {
  assert.equal(text.split(part).length, 2, `not once in the text: ${part}`)
  return text.replace(part, () => replacement)
}

function run(args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { timeout: PATIENCE_MS, ...options })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text
      })
    }
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, output }))
  })
}

describe('README.md and the pages of docs/', () => {
  let simulator
  let folder

  before(async () => {
    simulator = await Simulator.start({ credentials: CREDENTIALS, latencyMs: { min: 1, max: 5 } })
    folder = fs.mkdtempSync(join(tmpdir(), 'spillway-readme-'))
    fs.mkdirSync(join(folder, 'node_modules'))
    fs.symlinkSync(ROOT, join(folder, 'node_modules/spillway'), 'junction')
    for (const name of ['axios', 'purecloud-platform-client-v2']) {
      fs.symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name), 'junction')
    }
    for (const { mark, text } of blocks) {
      const name = /^file: (\S+)$/.exec(mark ?? '')?.[1]
      if (name === undefined) continue
      const content = name === 'spillway.json' ? replaceOnce(text, REGION_IN_JSON, `"apiUrl": "${simulator.url}"`) : text
      fs.writeFileSync(join(folder, name), content)
    }
  })

  after(async () => {
    await simulator.close()
    fs.rmSync(folder, { recursive: true, force: true })
  })

  async function runModule(name, text) {
    const file = join(folder, `${name}.mjs`)
    fs.writeFileSync(file, text)
    const env = { ...process.env, GENESYS_CLIENT_ID: CREDENTIALS.clientId, GENESYS_CLIENT_SECRET: CREDENTIALS.clientSecret }
    const { code, output } = await run([file], { cwd: folder, env })
    assert.equal(code, 0, output)
    return output
  }

  const onSimulator = (text) => replaceOnce(text, REGION_IN_CODE, `  apiUrl: '${simulator.url}',\n`)

  it('leaves out no page with code', () => {
    const withCode = DOCUMENTS.filter((name) => /^```(js|sh|json)$/m.test(read(name)))
    assert.deepEqual(
      withCode.filter((name) => !PAGES.includes(name) && !TESTED_ELSEWHERE.includes(name)),
      [],
    )
  })

  it('says of every block what it is', () => {
    assert.equal(marked('quick start').length, 1)
    for (const { language, mark, text } of blocks) {
      const known = {
        js: /^snippet: (quick start|continues the quick start|stands alone|weather|outbox|adapters|clients)$/,
        json: /^file: /,
      }[language]
      if (known !== undefined) assert.match(mark ?? 'no comment', known, text)
      else assert.ok(['sh', 'text'].includes(language), `a block in "${language}"`)
    }
  })

  it('has a quick start of at most 20 lines of code, which works', async () => {
    assert.ok(quickStart.split('\n').filter((line) => line.trim() !== '').length <= 20)
    assert.equal(await runModule('quick-start', onSimulator(quickStart)), '200 1\n')
  })

  marked('continues the quick start').forEach((text, index) => {
    it(`continues the quick start, ${index + 1}`, async () => {
      const whole = onSimulator(replaceOnce(quickStart, LAST_LINE, `${text}\n${LAST_LINE}`))
      const output = await runModule(`goes-on-${index + 1}`, whole)
      // What is printed by console.error is a failure that the snippet handles.
      assert.ok(!/DELIVERY_|longer|Error/.test(output), output)
    })
  })

  marked('stands alone').forEach((text, index) => {
    it(`stands alone, ${index + 1}`, async () => {
      const output = await runModule(`alone-${index + 1}`, text)
      const [, arrived, outOfOrder, most] = /^(\d+) arrived, (\d+) out of order, at most (\d+) in a second$/m.exec(output)
      assert.deepEqual([Number(arrived), Number(outOfOrder)], [150, 0])
      assert.ok(Number(most) <= 100, output)
    })
  })

  it('keeps a message through an outage, and says of another that its outcome is unknown', async () => {
    const [text] = marked('weather')
    const output = await runModule('weather', text)
    assert.match(output, /^\[ 'delivered', 'DELIVERY_AMBIGUOUS' \] \{ 'm-0': 1, 'm-1': 1 \} \{ 'm-1': 1 \} [1-9]\d*\n$/)
  })

  it('accepts what survives its end', async () => {
    const [snippet] = marked('outbox')
    const text = `${onSimulator(snippet)}\n${LAST_LINE}`
    assert.equal(await runModule('outbox', text), '0 messages of an earlier run continue\n')
    // Without an end of its own: what it has accepted is the next run's.
    const unfinished = `${onSimulator(snippet).replace('invoice-17', 'invoice-18')}\nprocess.exit()`
    assert.equal(await runModule('outbox-unfinished', unfinished), '0 messages of an earlier run continue\n')
    assert.match(await runModule('outbox-again', text), /^[01] messages of an earlier run continue\n$/)
    assert.equal(simulator.ledger({ ids: true }).ids['invoice-17'], 1)
    await until(() => simulator.ledger({ ids: true }).ids['invoice-18'] >= 1)
  })

  it('puts the code that people have inside the budget', async () => {
    const [snippet] = marked('adapters')
    const options = {
      organization: 'adapters',
      apiUrl: simulator.url,
      credentials: CREDENTIALS,
      route: 'messaging',
      store: 'memory',
      rateLimit: { requests: 100, perMs: 1_000 },
    }
    const around = [
      "import { Sender } from 'spillway'",
      `const apiUrl = ${JSON.stringify(simulator.url)}`,
      `const sender = await Sender.open(${JSON.stringify(options)})`,
    ]
    assert.equal(await runModule('adapters', [...around, snippet, LAST_LINE].join('\n')), '200 200\n')
  })

  it('sends with two OAuth clients', async (t) => {
    const [snippet] = marked('clients')
    const clients = ['BRIDGE', 'SURVEY'].map((name) => ({ clientId: `id-of-${name}`, clientSecret: `secret-of-${name}` }))
    const known = await Simulator.start({ clients, tokenQuota: { requests: 300, perMs: 60_000 } })
    t.after(() => known.close())
    const env = ['BRIDGE', 'SURVEY'].map(
      (name) => `process.env.${name}_ID = 'id-of-${name}'\nprocess.env.${name}_SECRET = 'secret-of-${name}'`,
    )
    const sends = "const sent = ['c-1', 'c-2'].map((conversationId) => sender.send({ conversationId, body: { text: 'hello' } }))"
    const text = [...env, replaceOnce(snippet, REGION_IN_CODE, `  apiUrl: '${known.url}',\n`), sends, 'await Promise.all(sent)', LAST_LINE]
    await runModule('clients', text.join('\n'))
    // Either client may carry a message: it depends on which token arrives first.
    const carried = Object.values(known.ledger().clients).map(({ arrivals }) => arrivals)
    assert.equal(
      carried.reduce((sum, one) => sum + one, 0),
      2,
    )
  })

  it('names commands that exist and work', async () => {
    const env = { ...process.env }
    for (const { text } of blocks.filter(({ language }) => language === 'sh')) {
      for (const line of text.split('\n')) {
        const command = line.replace(/\s+#.*$/, '')
        const script = /^npm ci && npm (\w+)$/.exec(command)?.[1]
        if (script !== undefined) {
          assert.ok(script in manifest.scripts, `no such script: ${script}`)
        } else if (command.startsWith('export ')) {
          for (const [, name, value] of command.matchAll(/(\w+)=(\S+)/g)) {
            assert.equal(value, '…')
            env[name] = { SPILLWAY_CLIENT_ID: CREDENTIALS.clientId, SPILLWAY_CLIENT_SECRET: CREDENTIALS.clientSecret }[name]
          }
        } else if (command.startsWith('npx ')) {
          const [, name, ...args] = command.split(' ')
          const { code, output } = await run([join(ROOT, manifest.bin[name]), ...args], { cwd: folder, env })
          assert.equal(code, 0, output)
        } else {
          assert.equal(command, `npm install ${manifest.name}`)
        }
      }
    }
    assert.equal(simulator.ledger({ ids: true }).ids['m-2'], 1, 'the file was not sent')
  })

  it('quotes a summary of the lines that npm start prints', async () => {
    const [quoted] = blocks.filter(({ language }) => language === 'text').map(({ text }) => text.split('\n'))
    assert.equal(manifest.scripts.start, 'npm run --silent build:dev && node bin/spillway.js demo')
    const { code, output } = await run([join(ROOT, 'bin/spillway.js'), 'demo', '--compare', '--speed', '20'])
    assert.equal(code, 0, output)
    const printed = output.trimEnd().split('\n').slice(-quoted.length)
    const label = (line) => line.trimStart().split(/ {3,}/)[0]
    assert.deepEqual(quoted.map(label), printed.map(label))
    const rowOf = (lines, name) => lines.find((line) => line.startsWith(name)).split(/ {3,}/)
    assert.deepEqual(rowOf(quoted, 'messages'), rowOf(printed, 'messages'))
    for (const name of ['delivered', 'lost', 'out of order', 'delivered twice', 'duplicates recognized', 'answers of 429']) {
      assert.equal(rowOf(quoted, name)[1], rowOf(printed, name)[1], name)
    }
  })
})

describe('the documents', () => {
  for (const name of [
    'README.md',
    'ARCHITECTURE.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    'CODE_OF_CONDUCT.md',
    'CHANGELOG.md',
    ...DOCUMENTS,
  ]) {
    it(`${name} links to files that are there, names no file that isn't, and has no trace of a merge`, () => {
      const text = read(name)
      assert.doesNotMatch(text, /^(?:<{7}|>{7}) /m)
      for (const [, target] of text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
        if (!/^https?:/.test(target)) assert.ok(fs.existsSync(join(ROOT, dirname(name), target)), target)
      }
      for (const [, path] of text.matchAll(/`((?:lib|src|crates|__test__|examples|scripts|bin|\.ci)\/[\w./-]*)`/g)) {
        assert.ok(fs.existsSync(join(ROOT, path)), `${name} names ${path}`)
      }
    })
  }
})
