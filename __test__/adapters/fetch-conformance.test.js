'use strict'

// The same programs through Node's fetch and through spillway/fetch, bare and with ky and ofetch on top. What differs is listed by name.

const assert = require('node:assert/strict')
const { describe, it } = require('node:test')

const { createFetch } = require('spillway/fetch')
const CLIENT_PROGRAMS = require('./fetch/clients.js')
const DIFFERENCES = require('./fetch/differences.js')
const { PROGRAMS } = require('./fetch/programs.js')
const ODD_PROGRAMS = require('./fetch/odd-programs.js')
const { fetchServer } = require('./fetch/server.js')
const { openWithToken, SENT_OTHERWISE, without } = require('./support.js')

const VOLATILE = ['date', 'connection', 'keep-alive', 'transfer-encoding']

/** What a program gives, as plain data without the address of the server. */
async function outcomeOf(run, url) {
  const [outcome, value] = await run().then(
    (value) => ['resolved', value],
    (error) => ['rejected', error],
  )
  if (outcome === 'rejected') {
    // Words of errors are the platform's own, but for the one by which programs know a failure of the network.
    const isNetwork = value.message === 'fetch failed'
    return {
      outcome,
      name: value?.name ?? value,
      isTypeError: value instanceof TypeError,
      isNetwork,
      hasCause: value.cause instanceof Error,
    }
  }
  if (!(value instanceof Response)) return { outcome, value }
  const { status, statusText, ok, redirected, type } = value
  const headers = without(VOLATILE, Object.fromEntries(value.headers))
  return { outcome, status, statusText, ok, redirected, type, url: value.url.replace(url, ''), headers, text: echoed(await value.text()) }
}

// What the server has seen is compared by itself.
function echoed(text) {
  try {
    const { method, url, body } = JSON.parse(text)
    return method === undefined ? text : { method, url, body }
  } catch {
    return text
  }
}

async function resultsOf(t, program) {
  const { url, requests, arrival } = await fetchServer(t)
  const sender = await openWithToken(t, url, { retry: { maxAttempts: 1 } })
  const results = []
  for (const fetch of [globalThis.fetch, createFetch(sender)]) {
    requests.length = 0
    const outcome = await outcomeOf(async () => program(fetch, url, arrival), url)
    const arrived = requests.map(({ method, url, body, headers }) => ({ method, url, body, headers: without(SENT_OTHERWISE, headers) }))
    results.push({ outcome, arrived })
  }
  return results
}

/** A program that takes longer hangs. */
const LIMIT_MS = 30_000

/**
 * Of these Node 18's fetch is no measure: it ignores falsy reasons of an abort and misreads content codings and UTF-8 in a location, which later ones don't.
 * There ky hangs on a body that it sends, whatever fetch it is given.
 */
const MISREAD_BY_NODE_18 = [
  'deflate without a header',
  'gzip, br',
  'deflate,gzip',
  'aborted before with null',
  'aborted before with 0',
  'aborted before with false',
  'aborted before with empty text',
  'aborted in flight with null',
  'aborted in flight with text',
  'aborted before, the stream is cancelled',
  'redirect to a location in UTF-8',
  'redirect to a location in Latin-1',
  'ky: post json',
  'ky: put a form',
  'ky: patch',
  'ky: hooks',
]
const ALL = { ...PROGRAMS, ...ODD_PROGRAMS, ...CLIENT_PROGRAMS }
const MISREAD = Number(process.versions.node.split('.', 1)[0]) === 18 ? MISREAD_BY_NODE_18 : []
const COMPARED = Object.entries(ALL).filter(([name]) => !MISREAD.includes(name))

// They mostly wait, each for a server and a sender of its own.
describe("the same programs with Node's fetch and with spillway/fetch", { concurrency: 4 }, () => {
  for (const [name, program] of COMPARED) {
    it(name, { timeout: LIMIT_MS }, async (t) => {
      const [own, ours] = await resultsOf(t, program)
      if (name in DIFFERENCES) assert.notDeepEqual(ours, own, `the difference is gone: ${DIFFERENCES[name]}`)
      else assert.deepEqual(ours, own)
    })
  }

  it('every name in a list has its program', (t) => {
    const names = [...Object.keys(DIFFERENCES), ...MISREAD_BY_NODE_18]
    assert.deepEqual(
      names.filter((name) => !(name in ALL)),
      [],
    )
    t.diagnostic(`${COMPARED.length} of ${Object.keys(ALL).length} programs compared with the fetch of Node ${process.versions.node}`)
    if (MISREAD.length > 0) t.diagnostic(`not compared, since this fetch is no measure: ${MISREAD.join('; ')}`)
  })
})
