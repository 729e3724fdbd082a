'use strict'

// A pause ends with its time, whether or not anything waits for that.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setTimeout: delay } = require('node:timers/promises')

const { answerJson, event, failure, message, open, serve, until } = require('./support.js')

const PAUSE_MS = 2_000
const IDLE_MS = 1_500

test('a pause that is over is none, though nobody has sent since', async (t) => {
  let throttles = true
  const { url } = await serve(t, (request, response) => {
    request.resume()
    if (throttles) answerJson(response, 429, {}, { 'retry-after': String(PAUSE_MS / 1_000) })
    else answerJson(response, 200, {})
  })
  const sender = await open(t, url, { credentials: { accessToken: 'token' } })
  const throttled = event(sender, 'throttled')
  const expired = failure(sender.send(message('a', 'c', { expiresInMs: 200 })))
  const { untilMs } = await throttled
  assert.equal(sender.stats().pause.reason, 'retry-after')
  assert.match(sender.metrics(), /^spillway_paused\{.*\} 1$/m)

  await expired
  await until(() => Date.now() > untilMs + 10)
  assert.equal(sender.stats().pause, null)
  assert.match(sender.metrics(), /^spillway_paused\{.*\} 0$/m)

  await delay(IDLE_MS)
  throttles = false
  const resumed = event(sender, 'resumed')
  await sender.send(message('b'))
  const { pausedMs } = await resumed
  const wholeMs = Date.now() - untilMs + PAUSE_MS
  // A millisecond more or less, since times at the edges are whole ones.
  assert.ok(pausedMs >= PAUSE_MS && pausedMs < wholeMs - IDLE_MS + 10, `${pausedMs} of ${wholeMs} ms`)
})
