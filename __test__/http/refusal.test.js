'use strict'

// What a 429 tells: which of several windows is spent, and the limit that it names.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { answerJson, event, message, open, serve } = require('./support.js')

const credentials = { accessToken: 'token' }
const DAY = { state: '"day";r=9000;t=40000', policy: '"day";q=10000;w=86400' }
const SECOND = { state: '"sec";r=0;t=1', policy: '"sec";q=10;w=1' }

/** The pause that a refusal with these headers and this body makes, and the window that is believed after it. */
async function refused(t, headers, body = {}, rateLimit = { requests: 1_000, perMs: 1_000 }) {
  let requests = 0
  const { url } = await serve(t, (request, response) => {
    request.resume()
    requests += 1
    answerJson(response, requests === 1 ? 429 : 200, requests === 1 ? body : {}, requests === 1 ? headers : {})
  })
  const sender = await open(t, url, { credentials, rateLimit })
  const [pause] = await Promise.all([event(sender, 'throttled'), sender.enqueue(message('m'))])
  return { reason: pause.reason, pauseMs: pause.pauseMs, quota: sender.stats().quota }
}

for (const [what, headers] of [
  ['in one line', { ratelimit: `${SECOND.state}, ${DAY.state}`, 'ratelimit-policy': `${SECOND.policy}, ${DAY.policy}` }],
  ['in two lines', { ratelimit: [DAY.state, SECOND.state], 'ratelimit-policy': [DAY.policy, SECOND.policy] }],
  [
    'in two lines of plain headers',
    {
      'x-ratelimit-limit': ['10000', '10'],
      'x-ratelimit-remaining': ['9000', '0'],
      'x-ratelimit-reset': ['40000', '1'],
    },
  ],
  [
    'in two families',
    {
      'x-ratelimit-limit': '10000',
      'x-ratelimit-remaining': '9000',
      'x-ratelimit-reset': '40000',
      ratelimit: SECOND.state,
    },
  ],
]) {
  test(`of several windows ${what} the pause is that of the one that is spent`, async (t) => {
    const { reason, pauseMs } = await refused(t, { ...headers, 'retry-after': '0' })
    assert.deepEqual([reason, pauseMs], ['reset', 1_000])
  })
}

test('a window that has much left is no reason to wait for its end', async (t) => {
  const { reason, pauseMs } = await refused(t, { 'x-ratelimit-remaining': '9000', 'x-ratelimit-reset': '40000' })
  assert.equal(reason, 'backoff')
  assert.ok(pauseMs < 1_000, `pauseMs ${pauseMs}`)
})

for (const [what, value] of [
  ['seconds', () => String(Math.ceil(Date.now() / 1_000) + 20)],
  ['milliseconds', () => String(Date.now() + 20_000)],
]) {
  test(`a Retry-After of Unix time in ${what} is a wait until then`, async (t) => {
    const { reason, pauseMs } = await refused(t, { 'retry-after': value() })
    assert.equal(reason, 'retry-after')
    assert.ok(pauseMs > 0 && pauseMs <= 21_000, `pauseMs ${pauseMs}`)
  })
}

for (const [what, headers, body] of [
  ['retry-after-ms', { 'retry-after-ms': '2000' }, {}],
  ['the seconds among the parameters', {}, { code: 'too.many.requests.retry.after', messageParams: { seconds: '2' } }],
  ['X-Rate-Limit-Reset', { 'x-rate-limit-limit': '77', 'x-rate-limit-remaining': '0', 'x-rate-limit-reset': '2' }, {}],
]) {
  test(`${what} names the pause`, async (t) => {
    assert.equal((await refused(t, headers, body)).pauseMs, 2_000)
  })
}

for (const [what, body] of [
  ['as an object', { limit: { key: 'token.rate.per.minute', namespace: 'platform.api', value: 77 } }],
  ['in words', { message: 'Rate limit exceeded the maximum [77] requests within [60] seconds' }],
]) {
  test(`a limit that a refusal names ${what} is learned`, async (t) => {
    const { quota } = await refused(t, {}, body, 'learn')
    assert.ok(
      quota.windows.some(({ requests, perMs }) => requests === 77 && perMs === 60_000),
      JSON.stringify(quota.windows),
    )
  })
}
