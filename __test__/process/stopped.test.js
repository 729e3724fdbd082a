'use strict'

// A process that did not run while its request was answered: SIGSTOP, a frozen container, a paused virtual machine. When it runs
// again, the request's time is up and the answer is in the socket.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const http = require('node:http')
const { describe, it } = require('node:test')
const { setTimeout: delay } = require('node:timers/promises')

const { defer } = require('../defer.js')
const { assertEnd, optionsFor, start } = require('./support.js')

const TIMEOUT_MS = 400
/** Longer than a request may take, by far. */
const STOPPED_MS = 3 * TIMEOUT_MS
/** Of an answer that is read in several pieces, and still fits into a socket that nobody reads. */
const LONG = 60_000

/** A server that stops whoever sends a request, answers it, and lets it run again when its time is over. */
async function serve(t, text) {
  let child
  const requests = []
  const server = http.createServer(async (request, response) => {
    requests.push(request.url)
    request.resume()
    await once(request, 'end')
    child.kill('SIGSTOP')
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ text }))
    await once(response, 'finish')
    await delay(STOPPED_MS)
    child.kill('SIGCONT')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  defer(t, () => {
    server.closeAllConnections?.()
    server.close()
  })
  const url = `http://127.0.0.1:${server.address().port}`
  return { url, requests, stops: (process) => (child = process) }
}

async function outcomeOf(t, { ambiguous, how = 'send', call, text = '' }) {
  const server = await serve(t, text)
  const options = optionsFor(server.url, {
    credentials: { accessToken: 'a-token' },
    retry: { ambiguous },
    connections: { requestTimeoutMs: how === 'call' && call.deadlineMs ? 60_000 : TIMEOUT_MS },
  })
  const { child, ended } = start('stopped.js', { options, how, call })
  server.stops(child)
  const end = await ended
  assertEnd(end, { code: 0 })
  return { requests: server.requests.length, outcome: JSON.parse(end.stdout) }
}

describe('a process that is stopped for longer than its request may take', { skip: process.platform === 'win32' }, () => {
  for (const ambiguous of ['retry', 'fail']) {
    for (const [what, text] of [
      ['short', ''],
      ['long', 'x'.repeat(LONG)],
    ]) {
      it(`finds a ${what} answer to its message, with ambiguous: '${ambiguous}'`, async (t) => {
        const { requests, outcome } = await outcomeOf(t, { ambiguous, text })
        assert.deepEqual({ requests, outcome }, { requests: 1, outcome: { status: 200, attempts: 1 } })
      })
    }
  }

  for (const [limit, call] of [
    ['requestTimeoutMs', { method: 'POST', path: '/api/v2/anything', body: {} }],
    ['deadlineMs', { method: 'POST', path: '/api/v2/anything', body: {}, deadlineMs: TIMEOUT_MS }],
  ]) {
    it(`finds the answer to a call that is limited by ${limit}`, async (t) => {
      const { requests, outcome } = await outcomeOf(t, { ambiguous: 'fail', how: 'call', call, text: 'x'.repeat(LONG) })
      assert.deepEqual({ requests, outcome }, { requests: 1, outcome: { status: 200, length: LONG } })
    })
  }
})
