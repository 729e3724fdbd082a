'use strict'

const assert = require('node:assert/strict')
const http = require('node:http')

const { Sender, Simulator } = require('../../index.js')
const { settled } = require('../until.js')

let organizations = 0

function optionsFor(url, options = {}) {
  return {
    organization: `input-${process.pid}-${++organizations}`,
    apiUrl: url,
    credentials: { accessToken: 'not-a-secret' },
    route: 'messaging',
    store: 'memory',
    rateLimit: { requests: 1_000, perMs: 1_000 },
    ...options,
  }
}

async function open(t, url, options) {
  const sender = await Sender.open(optionsFor(url, options))
  t.after(() => sender.close({ timeoutMs: 0 }))
  return sender
}

async function simulate(t, config = {}) {
  const simulator = await Simulator.start({ authRequired: false, ...config })
  t.after(() => simulator.close())
  return simulator
}

/** A server that knows nothing: it writes down what it gets as it comes over the wire, and answers 200. */
async function record(t, answer = (request, response) => response.end('{}')) {
  const requests = []
  const server = http.createServer((request, response) => {
    const chunks = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      const { method, url, headers, rawHeaders } = request
      requests.push({ method, url, headers, rawHeaders, body: Buffer.concat(chunks) })
      answer(request, response)
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections?.()
  })
  return { url: `http://127.0.0.1:${server.address().port}`, requests }
}

/** The error that a promise rejects with. */
function failure(promise, what = 'it') {
  return settled(
    promise.then(
      (value) => assert.fail(`${what} should have been rejected, and gave ${JSON.stringify(value)}`),
      (error) => error,
    ),
  )
}

module.exports = { failure, open, optionsFor, record, simulate }
