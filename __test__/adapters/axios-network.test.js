'use strict'

// What a program with axios sees of a server that fails, by axios' own http adapter and by ours.

const assert = require('node:assert/strict')
const https = require('node:https')
const { describe, it } = require('node:test')

const axios = require('axios')

const { createAdapter } = require('spillway/axios')
const { listen, serveRaw, TLS } = require('../http/support.js')
const { openWithToken } = require('./support.js')

const raw = (onRequest) => async (t) => (await serveRaw(t, (socket) => socket.once('data', () => onRequest(socket)))).url
const answering = (text) => raw((socket) => socket.end(text))

async function untrusted(t) {
  const server = https.createServer(TLS, (_request, response) => response.end('x'))
  await listen(t, server)
  return `https://localhost:${server.address().port}`
}

/** The URL of a server, by how it fails. */
const FAILURES = {
  'no server': () => 'http://127.0.0.1:9',
  'no such name': () => 'http://nowhere.invalid',
  'a certificate that nobody trusts': untrusted,
  'a reset': raw((socket) => socket.resetAndDestroy()),
  'a connection that is closed': answering(''),
  'no HTTP': answering('hello\r\n\r\n'),
  'a body that is shorter than announced': answering('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'),
  'a chunk that is cut': answering('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal'),
}

function seen({ code, isAxiosError, request, response, config, status }) {
  const answered = response && { status: response.status, statusText: response.statusText, data: response.data }
  return { code, isAxiosError, hasRequest: Boolean(request), url: config?.url, status, answered }
}

describe('axios 1.21: failures of a server', () => {
  for (const [name, start] of Object.entries(FAILURES)) {
    for (const method of ['get', 'post']) {
      it(`${name}, ${method}`, async (t) => {
        const url = await start(t)
        assert.match(url, /^https?:/)
        const call = (adapter) =>
          axios.request({ method, url: `${url}/x`, adapter, proxy: false, data: method === 'post' ? { a: 1 } : undefined })
        const own = await call('http').catch(seen)
        const sender = await openWithToken(t, url, { retry: { maxAttempts: 1 } })
        assert.deepEqual(await call(createAdapter(sender)).catch(seen), own)
        assert.ok(own.code, `${own.code}`)
      })
    }
  }
})
