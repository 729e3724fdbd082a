'use strict'

// A process that did not run while its request was answered: SIGSTOP, a frozen container, a paused virtual machine. When it runs
// again, the request's time is up and the answer is in the socket.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const http = require('node:http')
const https = require('node:https')
const { describe, it } = require('node:test')
const { setTimeout: delay } = require('node:timers/promises')

const { defer } = require('../defer.js')
const { CA_FILE, TLS } = require('../http/support.js')
const { assertEnd, optionsFor, start } = require('./support.js')

const TIMEOUT_MS = 400
/** Longer than a request may take, by far. */
const STOPPED_MS = 3 * TIMEOUT_MS
/** Nothing tells when a client has read what there is: enough for that, and less than a request may take. */
const READ_MS = 50
/** Of an answer that is read in several pieces, and still fits into a socket that nobody reads. */
const LONG = 60_000
/** Of a body that does not fit into the sockets' buffers, so that a part of it is still to be sent. */
const LARGE = 8_000_000

/** Takes the rest of a request. */
async function whole(request) {
  request.resume()
  await once(request, 'end')
}

/** Ways to answer a client that `stop()` stops; it resolves when the client runs again. */
const ANSWERS = {
  async 'while it is stopped'(request, response, stop, body) {
    await whole(request)
    const runs = stop()
    response.end(body)
    await runs
  },
  async 'when it has read the head'(request, response, stop, body) {
    await whole(request)
    response.flushHeaders()
    await delay(READ_MS)
    const runs = stop()
    response.end(body)
    await runs
  },
  async 'when it has read a half'(request, response, stop, body) {
    await whole(request)
    response.write(body.slice(0, body.length / 2))
    await delay(READ_MS)
    const runs = stop()
    response.end(body.slice(body.length / 2))
    await runs
  },
  async 'when it has sent the first part of its request'(request, response, stop, body) {
    await once(request, 'readable')
    await stop()
    await whole(request)
    response.end(body)
  },
}

/** A server that stops the process that sends a request or asks for a token, and answers in one of these ways. */
async function serve(t, { answer = 'while it is stopped', at = 'api', text = '', tls = false }) {
  let child
  const requests = { api: 0, login: 0 }
  const stop = async () => {
    child.kill('SIGSTOP')
    await delay(STOPPED_MS)
    child.kill('SIGCONT')
  }
  const bodies = { api: { text }, login: { access_token: 'a-token', expires_in: 86_400, text } }
  const onRequest = async (request, response) => {
    const host = request.url.endsWith('/oauth/token') ? 'login' : 'api'
    requests[host]++
    response.setHeader('content-type', 'application/json')
    const body = JSON.stringify(bodies[host])
    if (host === at) return ANSWERS[answer](request, response, stop, body)
    await whole(request)
    response.end(body)
  }
  const server = tls ? https.createServer(TLS, onRequest) : http.createServer(onRequest)
  await once(server.listen(0, 'localhost'), 'listening')
  defer(t, () => {
    server.closeAllConnections?.()
    server.close()
  })
  const url = `${tls ? 'https' : 'http'}://localhost:${server.address().port}`
  return { url, requests, stops: (process) => (child = process) }
}

async function outcomeOf(t, { ambiguous, how = 'send', call, bytes = 1, ...serving }) {
  const server = await serve(t, serving)
  const options = optionsFor(server.url, {
    retry: { ambiguous },
    connections: { requestTimeoutMs: how === 'call' && call.deadlineMs ? 60_000 : TIMEOUT_MS },
  })
  const { child, ended } = start('stopped.js', { options, how, call, bytes }, { env: { ...process.env, NODE_EXTRA_CA_CERTS: CA_FILE } })
  server.stops(child)
  const end = await ended
  assertEnd(end, { code: 0 })
  return { requests: server.requests, outcome: JSON.parse(end.stdout) }
}

const ONCE = { requests: { api: 1, login: 1 }, outcome: { status: 200, attempts: 1 } }

describe('a process that is stopped for longer than its request may take', { skip: process.platform === 'win32' }, () => {
  for (const ambiguous of ['retry', 'fail']) {
    for (const [what, text] of [
      ['short', ''],
      ['long', 'x'.repeat(LONG)],
    ]) {
      it(`finds a ${what} answer to its message, with ambiguous: '${ambiguous}'`, async (t) => {
        assert.deepEqual(await outcomeOf(t, { ambiguous, text }), ONCE)
      })
    }
  }

  for (const tls of [false, true]) {
    for (const answer of Object.keys(ANSWERS)) {
      it(`finds an answer ${answer}, over ${tls ? 'TLS' : 'TCP'}`, async (t) => {
        assert.deepEqual(await outcomeOf(t, { ambiguous: 'fail', answer, tls, text: 'x'.repeat(LONG), bytes: LARGE }), ONCE)
      })
    }

    it(`finds its token, over ${tls ? 'TLS' : 'TCP'}`, async (t) => {
      assert.deepEqual(await outcomeOf(t, { ambiguous: 'fail', at: 'login', tls, text: 'x'.repeat(LONG) }), ONCE)
    })
  }

  for (const [limit, call] of [
    ['requestTimeoutMs', { method: 'POST', path: '/api/v2/anything', body: {} }],
    ['deadlineMs', { method: 'POST', path: '/api/v2/anything', body: {}, deadlineMs: TIMEOUT_MS }],
  ]) {
    it(`finds the answer to a call that is limited by ${limit}`, async (t) => {
      const { requests, outcome } = await outcomeOf(t, { ambiguous: 'fail', how: 'call', call, text: 'x'.repeat(LONG) })
      assert.deepEqual({ requests, outcome }, { requests: ONCE.requests, outcome: { status: 200, length: LONG } })
    })
  }
})
