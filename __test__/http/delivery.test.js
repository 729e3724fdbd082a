'use strict'

// The delivery table, row by row: what each answer does to a message, and to those behind it.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { DeliveryError } = require('../../index.js')
const { answerJson, collect, event, failure, ignore, message, open, serve, simulate, textOf, until } = require('./support.js')

const ATTEMPTS_BEFORE_OUTAGE = 10

test('2xx is a receipt with all its fields', async (t) => {
  const simulator = await simulate(t, { script: [{ request: 2, status: 202, body: '{"state":"queued"}' }] })
  const sender = await open(t, simulator)
  const delivered = event(sender, 'delivered')
  const receipt = await sender.send(message('m-1', 'c-1'))
  assert.match(receipt.correlationId, /^[0-9a-f-]{36}$/)
  assert.ok(receipt.queuedMs >= 0 && Number.isFinite(receipt.queuedMs), `queuedMs ${receipt.queuedMs}`)
  const { correlationId, queuedMs, ...rest } = receipt
  assert.deepEqual(rest, {
    id: 'm-1',
    conversationId: 'c-1',
    status: 200,
    body: { id: 'm-1', conversationId: 'c-1' },
    attempts: 1,
    batchSize: 1,
  })
  assert.deepEqual(await delivered, receipt)

  const second = await sender.send(message('m-2', 'c-1'))
  assert.equal(second.status, 202)
  assert.deepEqual(second.body, { state: 'queued' })
})

test('an answer that is no JSON, and an empty one', async (t) => {
  const bodies = ['plain words', '']
  const { url } = await serve(t, (request, response) => {
    request.resume()
    response.end(bodies.shift())
  })
  const sender = await open(t, url, { credentials: { accessToken: 'token' } })
  const words = await sender.send(message('words'))
  assert.equal(words.body, 'plain words')
  assert.equal(words.correlationId, null)
  assert.equal((await sender.send(message('nothing'))).body, null)
})

for (const status of [408, 421, 425, 500, 502, 503, 504, 507, 520, 599]) {
  test(`${status} spends an attempt and is tried again, and the conversation waits`, async (t) => {
    const simulator = await simulate(t, { script: [{ request: 1, status }] })
    const sender = await open(t, simulator)
    const [first, second] = await Promise.all([sender.send(message('1', 'c')), sender.send(message('2', 'c'))])
    assert.deepEqual([first.attempts, second.attempts], [2, 1])
    const ledger = simulator.ledger({ ids: true })
    assert.deepEqual(ledger.ids, { 1: 1, 2: 1 })
    assert.deepEqual(ledger.statuses, { 200: 2, [status]: 1 })
    assert.equal(ledger.maxInFlightPerConversation, 1)
    const { requests, retries } = sender.stats().counters
    assert.deepEqual({ requests, retries }, { requests: 3, retries: 1 })
  })
}

test('a connection that is cut before the server reads is tried again', async (t) => {
  const simulator = await simulate(t, { script: [{ request: 1, fault: 'cutBefore' }] })
  const sender = await open(t, simulator)
  const receipt = await sender.send(message('m'))
  assert.equal(receipt.attempts, 2)
  const { cutsBefore, duplicates, accepted } = simulator.ledger()
  assert.deepEqual({ cutsBefore, duplicates, accepted }, { cutsBefore: 1, duplicates: 0, accepted: 1 })
})

test('a refused connection is tried again until somebody listens', async (t) => {
  const simulator = await simulate(t)
  const sender = await open(t, simulator)
  await sender.send(message('the token comes with this'))
  await simulator.set({ refuse: true })
  const sent = sender.send(message('m'))
  // An attempt counts when it leaves: of three, two were refused.
  await until(async () => (await sender.explain('m')).attempts >= 3)
  await simulator.set({ refuse: false })
  const receipt = await sent
  assert.ok(receipt.attempts >= 3, `attempts ${receipt.attempts}`)
  assert.equal(simulator.ledger().duplicates, 0)
})

for (const [what, config, connections] of [
  ['cut after the server accepted', { script: [{ request: 1, fault: 'cutAfter' }] }],
  ['garbage instead of an answer', { script: [{ request: 1, fault: 'garbage' }] }],
  ['no answer in time', { script: [{ request: 1, fault: 'slow' }], faults: { slowMs: 600_000 } }, { requestTimeoutMs: 1_000 }],
]) {
  test(`${what}: ambiguous 'retry' sends it again`, async (t) => {
    const simulator = await simulate(t, config)
    const sender = await open(t, simulator, { connections, retry: { ambiguous: 'retry' } })
    const [first, second] = await Promise.all([sender.send(message('1', 'c')), sender.send(message('2', 'c'))])
    assert.deepEqual([first.attempts, second.attempts], [2, 1])
    const ledger = simulator.ledger({ ids: true })
    assert.deepEqual(ledger.ids, { 1: 2, 2: 1 })
    assert.equal(ledger.orderViolations, 0)
  })

  test(`${what}: ambiguous 'fail' gives it up and says so`, async (t) => {
    const simulator = await simulate(t, config)
    const sender = await open(t, simulator, { connections, retry: { ambiguous: 'fail' } })
    const refused = failure(sender.send(message('1', 'c')))
    const next = await sender.send(message('2', 'c'))
    const error = await refused
    assert.ok(error instanceof DeliveryError)
    assert.deepEqual(
      { ...error },
      {
        code: 'DELIVERY_AMBIGUOUS',
        reason: 'ambiguous',
        status: null,
        attempts: 1,
        messageId: '1',
        ambiguous: true,
      },
    )
    assert.equal(error.response, null)
    assert.equal(next.attempts, 1)
    const ledger = simulator.ledger({ ids: true })
    assert.deepEqual(ledger.ids, { 1: 1, 2: 1 })
    const [letter] = await collect(sender.deadLetters())
    assert.deepEqual([letter.id, letter.reason, letter.ambiguous], ['1', 'ambiguous', true])
  })
}

for (const status of [408, 500, 502, 504, 507, 520, 600, 777, 999]) {
  test(`${status}: ambiguous 'fail' sends nothing a second time`, async (t) => {
    const arrivals = []
    const { url } = await serve(t, (request, response) => {
      request.resume()
      arrivals.push(`${request.method} ${request.url}`)
      answerJson(response, arrivals.length === 1 ? status : 200, {})
    })
    const sender = await open(t, url, { credentials: { accessToken: 'token' }, retry: { ambiguous: 'fail' } })
    const error = await failure(sender.send(message('1', 'c')))
    assert.deepEqual(
      { ...error },
      {
        code: 'DELIVERY_AMBIGUOUS',
        reason: 'ambiguous',
        status,
        attempts: 1,
        messageId: '1',
        ambiguous: true,
      },
    )
    assert.equal((await sender.send(message('2', 'c'))).attempts, 1)
    assert.equal(arrivals.length, 2)
  })
}

for (const status of [421, 425]) {
  test(`${status}: the repetition takes another connection`, async (t) => {
    const sockets = []
    const { url } = await serve(t, (request, response) => {
      request.resume()
      sockets.push(request.socket)
      answerJson(response, sockets.length === 1 ? status : 200, {})
    })
    const sender = await open(t, url, { credentials: { accessToken: 'token' }, retry: { ambiguous: 'fail' } })
    assert.equal((await sender.send(message('m'))).attempts, 2)
    assert.equal(sockets.length, 2)
    assert.notEqual(sockets[0], sockets[1])
  })
}

for (const status of [400, 403, 404, 409, 413, 422, 501, 505]) {
  test(`${status} is final: a dead letter with status and body, and the next goes on`, async (t) => {
    const simulator = await simulate(t, { script: [{ request: 1, status, body: '{"message":"no, and this is why"}' }] })
    // Of these statuses some may be everybody's: alone, they are tried again as often as they may be.
    const sender = await open(t, simulator, { retry: { maxAttempts: 1 } })
    const told = event(sender, 'deadLetter')
    const refused = failure(sender.send(message('1', 'c')))
    await sender.send(message('2', 'c'))
    const error = await refused
    assert.ok(error instanceof DeliveryError)
    assert.deepEqual(
      { ...error },
      {
        code: 'DELIVERY_REJECTED',
        reason: 'rejected',
        status,
        attempts: 1,
        messageId: '1',
        ambiguous: false,
      },
    )
    assert.deepEqual(error.response, { message: 'no, and this is why' })
    assert.match(error.message, new RegExp(`${status}`))

    const [letter] = await collect(sender.deadLetters())
    const { atMs, message: why, ...rest } = letter
    assert.deepEqual(rest, {
      id: '1',
      conversationId: 'c',
      reason: 'rejected',
      status,
      response: { message: 'no, and this is why' },
      attempts: 1,
      ambiguous: false,
      body: { id: '1', text: 'text of 1' },
    })
    assert.ok(Math.abs(Date.now() - atMs) < 60_000, `atMs ${atMs}`)
    assert.match(why, new RegExp(`${status}`))
    assert.doesNotMatch(why, /text of/)

    const { atMs: toldAtMs, ...toldLetter } = await told
    const { body, atMs: _, ...withoutBody } = letter
    assert.deepEqual(toldLetter, withoutBody)
    assert.ok(Math.abs(Date.now() - toldAtMs) < 60_000, `atMs ${toldAtMs}`)
    assert.equal(simulator.ledger().arrivals, 2)
  })
}

test('a body that the server finds too long is a dead letter with 413', async (t) => {
  const simulator = await simulate(t, { maxBodyBytes: 1_000 })
  const sender = await open(t, simulator)
  const error = await failure(sender.send({ conversationId: 'c', body: { text: 'x'.repeat(2_000) } }))
  assert.deepEqual([error.code, error.status], ['DELIVERY_REJECTED', 413])
})

test('a redirect is not followed, and the credentials stay where they are', async (t) => {
  const elsewhere = []
  const other = await serve(t, (request, response) => {
    elsewhere.push(request.url)
    request.resume()
    response.end()
  })
  for (const status of [301, 302, 303, 307, 308]) {
    const { url } = await serve(t, (request, response) => {
      request.resume()
      response.writeHead(status, { location: `${other.url}/stolen` }).end()
    })
    const sender = await open(t, url, { credentials: { accessToken: 'token' }, retry: { maxAttempts: 1 } })
    const error = await failure(sender.send(message('m')))
    assert.deepEqual([error.code, error.status, error.attempts], ['DELIVERY_REJECTED', status, 1])
    const called = await failure(sender.request({ method: 'GET', path: '/x' }))
    assert.deepEqual([called.code, called.status], ['DELIVERY_REJECTED', status])
  }
  assert.deepEqual(elsewhere, [])
})

test('a redirect of the login host is not followed either', async (t) => {
  const elsewhere = []
  const other = await serve(t, (request, response) => {
    elsewhere.push(request.url)
    answerJson(response, 200, { access_token: 'bait' })
  })
  let asked = 0
  const { url } = await serve(t, (request, response) => {
    asked += 1
    request.resume()
    response.writeHead(307, { location: `${other.url}/oauth/token` }).end()
  })
  const sender = await open(t, url)
  ignore(sender.send(message('m')))
  await until(() => asked >= 2)
  assert.deepEqual(elsewhere, [])
})

test('maxAttempts ends it, with the last answer', async (t) => {
  const simulator = await simulate(t, { faults: { status503: 1 } })
  const sender = await open(t, simulator, { retry: { maxAttempts: 3 } })
  const error = await failure(sender.send(message('m')))
  assert.ok(error instanceof DeliveryError)
  assert.deepEqual(
    { ...error },
    {
      code: 'DELIVERY_EXHAUSTED',
      reason: 'exhausted',
      status: 503,
      attempts: 3,
      messageId: 'm',
      ambiguous: false,
    },
  )
  assert.equal(error.response.status, 503)
  assert.equal(simulator.ledger().arrivals, 3)
})

test('maxAttempts 1 and maxAgeMs 0 try once', async (t) => {
  const simulator = await simulate(t, { faults: { status500: 1 } })
  for (const retry of [{ maxAttempts: 1 }, { maxAgeMs: 0 }]) {
    const sender = await open(t, simulator, { retry })
    const error = await failure(sender.send(message('m')))
    assert.deepEqual([error.code, error.attempts], ['DELIVERY_EXHAUSTED', 1])
  }
  assert.equal(simulator.ledger().arrivals, 2)
})

test('a message that was sent once without an answer stays ambiguous, however it ends', async (t) => {
  const simulator = await simulate(t, {
    script: [
      { request: 1, fault: 'cutAfter' },
      { request: 2, status: 400 },
    ],
  })
  const sender = await open(t, simulator)
  const error = await failure(sender.send(message('m')))
  assert.deepEqual([error.code, error.ambiguous, error.attempts], ['DELIVERY_REJECTED', true, 2])
})

test('many failures in a row are an outage: one probe at a time, and all is delivered when it is over', async (t) => {
  const simulator = await simulate(t, { faults: { status503: 1 } })
  const sender = await open(t, simulator, { retry: { maxAttempts: 100 } })
  const opened = event(sender, 'outage', ({ open }) => open)
  const sends = Array.from({ length: 40 }, (_, index) => sender.send(message(`m${index}`)))
  const outage = await opened
  assert.equal(outage.reason, 'breaker')
  assert.match(outage.message, /503/)
  const { sinceMs, reason } = sender.stats().outage
  assert.equal(reason, 'breaker')
  assert.ok(Math.abs(Date.now() - sinceMs) < 60_000, `sinceMs ${sinceMs}`)

  // What was on the wire comes back; from then on a probe goes at a time.
  await until(() => sender.stats().queue.inFlight === 0)
  const { arrivals } = simulator.ledger()
  assert.ok(arrivals >= ATTEMPTS_BEFORE_OUTAGE, `arrivals ${arrivals}`)
  const seen = new Set()
  await until(() => {
    seen.add(sender.stats().queue.inFlight)
    return simulator.ledger().arrivals >= arrivals + 2
  })
  assert.ok(Math.max(...seen) <= 1, `in flight during the outage: ${[...seen]}`)

  const closed = event(sender, 'outage', ({ open }) => !open)
  await simulator.set({ faults: { status503: 0 } })
  assert.equal((await closed).reason, 'breaker')
  await Promise.all(sends)
  assert.equal(sender.stats().outage, null)
  assert.equal(simulator.ledger().duplicates, 0)
})

test('a server that nobody listens at is an outage too', async (t) => {
  const simulator = await simulate(t)
  const sender = await open(t, simulator, { retry: { maxAttempts: 100 } })
  await sender.send(message('the token comes with this'))
  await simulator.set({ refuse: true })
  const opened = event(sender, 'outage', ({ open }) => open)
  const sends = Array.from({ length: 20 }, (_, index) => sender.send(message(`m${index}`)))
  await opened
  const closed = event(sender, 'outage', ({ open }) => !open)
  await simulator.set({ refuse: false })
  await Promise.all([closed, ...sends])
})

test('dead letters are listed in pages, oldest first, and may be sent again or dropped meanwhile', async (t) => {
  const simulator = await simulate(t, { poisonText: 'poison' })
  const sender = await open(t, simulator)
  const ids = Array.from({ length: 250 }, (_, index) => `m${index}`)
  const poisoned = (id) => ({ id, conversationId: 'c', body: { id, text: 'poison' } })
  await Promise.all(ids.map((id) => failure(sender.send(poisoned(id)))))
  assert.equal(sender.stats().queue.deadLetters, 250)
  assert.deepEqual(
    (await collect(sender.deadLetters())).map(({ id }) => id),
    ids,
  )

  const explained = await sender.explain('m7')
  assert.deepEqual(explained, {
    id: 'm7',
    conversationId: 'c',
    state: 'dead-letter',
    reasons: [],
    ahead: 0,
    expectedInMs: null,
    attempts: 1,
  })

  const seen = []
  for await (const { id } of sender.deadLetters()) {
    seen.push(id)
    if (seen.length % 2 === 0) await sender.drop(id)
  }
  assert.deepEqual(seen, ids)
  assert.equal(sender.stats().queue.deadLetters, 125)

  await simulator.set({ poisonText: null })
  for await (const { id } of sender.deadLetters()) await sender.redrive(id)
  await sender.drain()
  const { queue, counters } = sender.stats()
  assert.deepEqual([queue.deadLetters, counters.delivered, counters.deadLetters], [0, 125, 250])
  assert.equal(simulator.ledger().uniqueIds, 125)

  for (const id of ['m0', 'm1', 'never seen']) {
    for (const operation of ['redrive', 'drop']) {
      await assert.rejects(sender[operation](id), { name: 'SpillwayError', code: 'NOT_FOUND' })
    }
  }
})

test('a redriven letter tells its end by the events, with its attempts from zero', async (t) => {
  const simulator = await simulate(t, { poisonText: 'poison' })
  const sender = await open(t, simulator)
  const poisoned = { id: 'm', conversationId: 'c', body: { id: 'm', text: 'poison' } }
  await failure(sender.send(poisoned))
  const again = event(sender, 'deadLetter')
  await sender.redrive('m')
  const letter = await again
  assert.deepEqual([letter.id, letter.attempts, letter.reason], ['m', 1, 'rejected'])

  await simulator.set({ poisonText: null })
  const delivered = event(sender, 'delivered')
  await sender.redrive('m')
  const receipt = await delivered
  assert.deepEqual([receipt.id, receipt.attempts], ['m', 1])
  assert.deepEqual(await collect(sender.deadLetters()), [])
})

test('what is sent: path, headers and body', async (t) => {
  const requests = []
  const { url } = await serve(t, async (request, response) => {
    requests.push({ method: request.method, url: request.url, headers: request.headers, body: await textOf(request) })
    answerJson(response, 200, {})
  })
  const sender = await open(t, url, { credentials: { accessToken: 'token' } })
  const body = { text: 'Grüße 👋\u0000', n: 1.5, list: [null, true] }
  await sender.send({ id: 'id ü/1', conversationId: '../a b/ü?#', body })
  const [{ method, url: path, headers, body: sent }] = requests
  assert.equal(method, 'POST')
  assert.equal(path, `/api/v2/messaging/conversations/${encodeURIComponent('../a b/ü?#')}/messages`)
  assert.deepEqual(JSON.parse(sent), body)
  assert.equal(headers.authorization, 'Bearer token')
  assert.equal(headers['content-type'], 'application/json')
  assert.equal(headers['content-length'], String(Buffer.byteLength(sent)))
  assert.equal(headers['idempotency-key'], encodeURIComponent('id ü/1'))
  assert.match(headers['user-agent'], /^spillway\/\d/)
  assert.equal(headers['accept-encoding'], undefined)
})

test('retry.statuses: a status that is added is retried, for messages, calls and items of a list', async (t) => {
  const answers = [404, 404]
  const { url } = await serve(t, (request, response) => {
    request.resume()
    answerJson(response, answers.shift() ?? 200, {})
  })
  const sender = await open(t, url, { credentials: { accessToken: 'token' }, retry: { statuses: [404] } })
  const { attempts } = await sender.send(message('m'))
  assert.equal(attempts, 3)
  answers.push(404)
  assert.equal((await sender.request({ method: 'GET', path: '/x' })).status, 200)
  assert.deepEqual([sender.stats().counters.requests, answers.length], [5, 0])
})

test("retry.statuses with ambiguous: 'fail': the message may have been processed, so it is sent once", async (t) => {
  let arrivals = 0
  const { url } = await serve(t, (request, response) => {
    request.resume()
    arrivals++
    answerJson(response, arrivals === 3 ? 200 : 409, {})
  })
  const options = { credentials: { accessToken: 'token' }, retry: { statuses: [409], ambiguous: 'fail' } }
  const sender = await open(t, url, options)
  const { code, status, ambiguous } = await failure(sender.send(message('m')))
  assert.deepEqual([code, status, ambiguous, arrivals], ['DELIVERY_AMBIGUOUS', 409, true, 1])
  assert.equal((await sender.request({ method: 'GET', path: '/x' })).status, 200)
  assert.equal(arrivals, 3, 'a GET is safe to repeat')
})
