'use strict'

// Whom TLS trusts: the system's roots, those of Node.js, and NODE_EXTRA_CA_CERTS.

const assert = require('node:assert/strict')
const { mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { after, before, describe, it } = require('node:test')

const { answerJson, CA_FILE, inChild, optionsFor, serve, TLS } = require('./support.js')

const CA = readFileSync(CA_FILE, 'utf8')
const NOT_A_CERTIFICATE = '-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n'
/** Nothing is at these paths, or nothing of use: a machine without ca-certificates. */
const NONE = { SSL_CERT_FILE: '/dev/null', SSL_CERT_DIR: '/dev/null' }
// There the system itself knows its roots, and no variable hides them.
const HAS_ROOT_FILES = process.platform !== 'win32' && process.platform !== 'darwin'

describe('the roots that are trusted', { skip: !HAS_ROOT_FILES }, () => {
  let folder
  let file

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'spillway-roots-'))
    file = (name, text) => {
      const path = join(folder, name)
      writeFileSync(path, text)
      return path
    }
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  /** Whose login and API hosts both have a certificate of the tests' authority. */
  async function server(t) {
    const { url } = await serve(
      t,
      (request, response) => {
        request.resume()
        if (request.url === '/oauth/token') answerJson(response, 200, { access_token: 'token', expires_in: 3_600 })
        else answerJson(response, 200, {})
      },
      { tls: TLS },
    )
    return optionsFor(url, { retry: { maxAttempts: 1 }, connections: { requestTimeoutMs: 5_000 } })
  }

  const send = (input, env) => inChild('trust.js', { args: [JSON.stringify(input)], env })
  const options = (url) => optionsFor(url, { retry: { maxAttempts: 1 } })

  it('without any of the system, a sender opens with those of Node.js', async () => {
    const { outcome, warnings } = await send(
      { options: { ...options('https://localhost:9'), credentials: { accessToken: 'token' } } },
      NONE,
    )
    // Nobody listens there: it opened, and got as far as the connection.
    assert.equal(outcome.code, 'DELIVERY_EXHAUSTED', JSON.stringify(outcome))
    assert.deepEqual(warnings, [])
  })

  it('those of Node.js are trusted, with and without some of the system, in worker threads and for the login host', async (t) => {
    const own = await server(t)
    for (const env of [NONE, {}]) {
      assert.deepEqual(await send({ options: own, bundled: [CA] }, env), { outcome: { status: 200 }, warnings: [] })
      // What a worker thread has settled holds for the process.
      const extra = { ...env, NODE_EXTRA_CA_CERTS: CA_FILE }
      assert.deepEqual(await send({ options: own, inWorker: true }, extra), { outcome: { status: 200 }, warnings: [] })
    }
  })

  it('those that SSL_CERT_FILE or SSL_CERT_DIR name are, and NODE_EXTRA_CA_CERTS', async (t) => {
    const own = await server(t)
    file('directory.pem', CA)
    for (const env of [
      { SSL_CERT_FILE: CA_FILE, SSL_CERT_DIR: '' },
      { SSL_CERT_FILE: '/dev/null', SSL_CERT_DIR: folder },
      { ...NONE, NODE_EXTRA_CA_CERTS: CA_FILE },
    ]) {
      assert.deepEqual(await send({ options: own }, env), { outcome: { status: 200 }, warnings: [] }, JSON.stringify(env))
    }
  })

  it('no others', async (t) => {
    const { outcome } = await send({ options: { ...(await server(t)), credentials: { accessToken: 'token' } } }, NONE)
    assert.equal(outcome.code, 'DELIVERY_EXHAUSTED')
    assert.match(outcome.message, /certificate/i)
  })

  it('an empty variable names nothing', async (t) => {
    const own = await server(t)
    const env = { SSL_CERT_FILE: '', SSL_CERT_DIR: '', NODE_EXTRA_CA_CERTS: CA_FILE }
    assert.deepEqual(await send({ options: own }, env), { outcome: { status: 200 }, warnings: [] })
  })

  it('a certificate that cannot be read is a warning, and costs no other', async (t) => {
    const own = await server(t)
    const bundle = file('bundle.pem', `${NOT_A_CERTIFICATE}a comment\n${CA}`)
    const { outcome, warnings } = await send({ options: own }, { ...NONE, NODE_EXTRA_CA_CERTS: bundle })
    assert.deepEqual(outcome, { status: 200 })
    const ours = warnings.filter(({ code }) => code === 'SPILLWAY_CA_CERTS')
    assert.equal(ours.length, 1, JSON.stringify(warnings))
    assert.match(ours[0].message, /^Ignoring a certificate of NODE_EXTRA_CA_CERTS \(.*bundle\.pem\)/)
  })

  it('a file that cannot be read is a warning, once per process, and nothing else', async (t) => {
    const own = await server(t)
    const missing = join(folder, 'missing.pem')
    const empty = file('empty.pem', 'no certificate')
    for (const [env, name, problem] of [
      [{ NODE_EXTRA_CA_CERTS: missing }, 'NODE_EXTRA_CA_CERTS', /missing\.pem.*No such file/],
      [{ NODE_EXTRA_CA_CERTS: folder }, 'NODE_EXTRA_CA_CERTS', /directory/],
      [{ NODE_EXTRA_CA_CERTS: empty }, 'NODE_EXTRA_CA_CERTS', /no PEM certificate/],
      [{ SSL_CERT_FILE: missing }, 'root certificates', /missing\.pem.*No such file/],
    ]) {
      const { outcome, warnings } = await send({ options: own, bundled: [CA] }, { ...NONE, ...env })
      assert.deepEqual(outcome, { status: 200 }, JSON.stringify(outcome))
      const told = warnings.filter(({ code }) => code === 'SPILLWAY_CA_CERTS').map(({ message }) => message)
      assert.equal(told.length, 1, JSON.stringify(warnings))
      assert.ok(told[0].startsWith('Ignoring ') && told[0].includes(name), told[0])
      assert.match(told[0], problem)
    }
  })

  it('without any at all, an error says so, and plain HTTP needs none', async (t) => {
    const { outcome } = await send({ options: options('https://localhost:9'), bundled: [] }, NONE)
    assert.deepEqual([outcome.code, outcome.field], ['CONFIG_INVALID', 'apiUrl'])
    assert.match(outcome.message, /no root certificate/)
    const { url } = await serve(t, (request, response) => {
      request.resume()
      answerJson(response, 200, { access_token: 'token' })
    })
    assert.deepEqual((await send({ options: options(url), bundled: [] }, NONE)).outcome, { status: 200 })
  })
})
