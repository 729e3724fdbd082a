'use strict'

const { answerJson, open, serve, textOf } = require('../http/support.js')

/** A server that answers every API call with what it got, and gives tokens. `requests` is all that arrived. */
async function echo(t, respond) {
  const requests = []
  const { url } = await serve(t, async (request, response) => {
    const got = { method: request.method, url: request.url, headers: request.headers, body: await textOf(request) }
    requests.push(got)
    if (request.url.startsWith('/oauth/token')) return answerJson(response, 200, { access_token: 'minted', expires_in: 3_600 })
    if ((await respond?.(got, response)) === true) return undefined
    return answerJson(response, 200, got)
  })
  return { url, requests }
}

const TOKEN = 'of-the-sender'

/** A sender with a fixed token, and few attempts, so that failures come soon. */
function openWithToken(t, url, options) {
  return open(t, url, { credentials: { accessToken: TOKEN }, retry: { maxAttempts: 2 }, ...options })
}

/** Request headers set by the platform or the sender, which tests of their own compare. */
const SENT_OTHERWISE = [
  'host',
  'connection',
  'authorization',
  'accept-encoding',
  'accept-language',
  'sec-fetch-mode',
  'user-agent',
  'content-length',
  'transfer-encoding',
]

/** The headers without these. */
const without = (names, headers) => Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)))

module.exports = { echo, openWithToken, SENT_OTHERWISE, TOKEN, without }
