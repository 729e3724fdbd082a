'use strict'

// What the tests of batches share: the recorded peak, and a server that takes batches and answers as a test says.

const fs = require('node:fs')
const path = require('node:path')

const http = require('../http/support.js')

/** Beside the repository when it is there, else the smaller one that comes with it. */
const PEAKS = [path.join(http.ROOT, '../shared/data/webchat-peak.jsonl'), path.join(http.ROOT, 'examples/webchat-peak.jsonl')]
/** The figures are for a backlog of this size. */
const PEAK_MESSAGES = 10_000
const TOKEN = { accessToken: 'token-of-the-tests' }

let rows = null

/**
 * The recorded peak: rows of `{ id, conversationId, seq, from, text, … }`, each id once; a smaller one as often as it takes,
 * each time in other conversations.
 */
function peak() {
  if (rows === null) {
    const text = fs.readFileSync(
      PEAKS.find((file) => fs.existsSync(file)),
      'utf8',
    )
    const all = text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
    const once = [...new Map(all.map((row) => [row.id, row])).values()]
    const copy = (row, n) => ({ ...row, id: `${row.id}/${n}`, conversationId: `${row.conversationId}/${n}` })
    rows = once
    for (let n = 1; rows.length < PEAK_MESSAGES; n++) rows = [...rows, ...once.map((row) => copy(row, n))]
    rows = rows.slice(0, PEAK_MESSAGES)
  }
  return rows
}

/** `count` messages with ids `prefix0` …, each of its own conversation unless one is named. */
function messages(count, { prefix = 'm', conversationId, text = (id) => `text of ${id}`, ...more } = {}) {
  return Array.from({ length: count }, (_, index) => {
    const id = `${prefix}${index}`
    return { id, conversationId: conversationId ?? `conversation of ${id}`, body: { id, text: text(id) }, ...more }
  })
}

/** The same for merging: bodies that differ in nothing but their text. */
function texts(list, more = {}) {
  return list.map((text, index) => ({ id: `t${index}`, conversationId: 'c', body: { from: 'user', text }, ...more }))
}

/**
 * A server that keeps what arrives, as `{ messages, body, key, path, at }`, and answers the n-th request (from 0) with what
 * `answer(arrival, n)` gives: `{ status?, body?, headers?, delayMs? }`, or `'cut'` to close the connection without a word;
 * `cutAfter`: so many characters of the body, then the connection's end.
 */
async function takeBatches(t, answer = () => ({})) {
  const arrivals = []
  const { url } = await http.serve(t, async (request, response) => {
    const body = await http.textOf(request)
    const parsed = body === '' ? null : JSON.parse(body)
    const arrival = {
      body,
      key: request.headers['idempotency-key'],
      path: request.url,
      at: performance.now(),
      messages: parsed === null ? [] : [parsed].flat(),
    }
    arrivals.push(arrival)
    const given = await answer(arrival, arrivals.length - 1)
    if (given === 'cut') return request.socket.destroy()
    const { status = 200, body: text = '{}', headers = {}, delayMs = 0, cutAfter } = given
    const say = () => {
      const whole = typeof text === 'string' ? text : JSON.stringify(text)
      response.writeHead(status, { 'content-type': 'application/json', ...headers })
      if (cutAfter === undefined) response.end(whole)
      else response.write(whole.slice(0, cutAfter), () => request.socket.destroy())
    }
    // An answer that nobody waits for any more must not hold up the end of the tests.
    if (delayMs === 0) say()
    else setTimeout(say, delayMs).unref()
  })
  return { url, arrivals }
}

/** A sender of arrays. */
function openArray(t, server, { batch, ...options } = {}) {
  const own = typeof server === 'string' ? { credentials: TOKEN } : {}
  return http.open(t, server, { ...own, route: 'messaging-array', batch: { mode: 'array', lingerMs: 50, ...batch }, ...options })
}

/** A sender of merged texts. */
function openMerge(t, server, { batch, ...options } = {}) {
  const own = typeof server === 'string' ? { credentials: TOKEN } : {}
  return http.open(t, server, { ...own, batch: { mode: 'merge', ...batch }, ...options })
}

/** Sends all in one tick: `{ receipts, errors }` by id. */
async function sendAll(sender, list, optionsOf = () => undefined) {
  const settled = await Promise.allSettled(list.map((message) => sender.send(message, optionsOf(message))))
  const receipts = new Map()
  const errors = new Map()
  for (const [index, { value, reason }] of settled.entries()) {
    if (value) receipts.set(list[index].id, value)
    else errors.set(list[index].id, reason)
  }
  return { receipts, errors }
}

const idsOf = (arrival) => arrival.messages.map((message) => message.id)

module.exports = { ...http, idsOf, messages, openArray, openMerge, peak, sendAll, takeBatches, texts, TOKEN }
