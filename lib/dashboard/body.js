'use strict'

const { Refusal } = require('./answer.js')

const BYTES_MAX = 16 * 1024
const READ_MS_MAX = 10_000

/** The JSON object in a request's body; what a framework has parsed already is taken as it is. */
async function readJson(request) {
  if (!/^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? '')) {
    throw new Refusal(415, 'NOT_JSON', 'the content type must be application/json')
  }
  const value = request.body === undefined ? parse(await readText(request)) : request.body
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Refusal(400, 'NOT_JSON', 'the body must be an object')
  return value
}

async function readText(request) {
  const late = setTimeout(() => request.destroy(), READ_MS_MAX)
  const chunks = []
  let bytes = 0
  try {
    for await (const chunk of request) {
      bytes += chunk.length
      if (bytes > BYTES_MAX) throw new Refusal(413, 'TOO_LARGE', `the body must have at most ${BYTES_MAX} bytes`)
      chunks.push(chunk)
    }
  } finally {
    clearTimeout(late)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    throw new Refusal(400, 'NOT_JSON', 'the body must be JSON')
  }
}

module.exports = { readJson }
