'use strict'

// What a program with axios can observe of its calls, as plain data that can be compared.

const { Readable } = require('node:stream')

// Of the connection, or of the moment.
const VOLATILE = ['date', 'connection', 'keep-alive', 'transfer-encoding']
// How the bytes are divided is the connection's matter, too.
const OF_THE_CONNECTION = ['connection', 'content-length', 'transfer-encoding']

const without = (names, headers) => Object.fromEntries(Object.entries({ ...headers }).filter(([name]) => !names.includes(name)))

async function readable(data) {
  if (!(data instanceof Readable)) return data
  const chunks = []
  try {
    for await (const chunk of data) chunks.push(chunk)
  } catch ({ message, code }) {
    return { message, code }
  }
  return { streamed: Buffer.concat(chunks).toString('latin1') }
}

async function seenResponse(axios, response) {
  if (response === undefined) return undefined
  const { status, statusText, headers, data, config, request } = response
  const { url, method, baseURL, params } = config
  return {
    status,
    statusText,
    headers: without(VOLATILE, headers),
    data: await readable(data),
    kind: headers.constructor === axios.AxiosHeaders,
    isBuffer: Buffer.isBuffer(data),
    type: typeof data,
    config: { url, method, baseURL, params },
    request: { path: request.path, method: request.method, host: request.host, protocol: request.protocol },
    // Without redirects axios doesn't say it.
    finally: config.maxRedirects === 0 ? undefined : request.res?.responseUrl,
  }
}

/** Everything that a program can observe of an outcome: of one call, or of its result from several. */
async function seen(axios, promise) {
  const [outcome, value] = await promise.then(
    (value) => ['resolved', value],
    (error) => ['rejected', error],
  )
  if (outcome === 'resolved') return { outcome, ...(value?.config ? { response: await seenResponse(axios, value) } : { value }) }
  const { name, message, code, status, isAxiosError, config, request, response } = value
  return {
    outcome,
    name,
    message,
    code,
    status,
    isAxiosError,
    isCancel: axios.isCancel(value),
    isError: value instanceof axios.AxiosError,
    url: config?.url,
    hasRequest: Boolean(request),
    json: value.toJSON && Object.keys(value.toJSON()),
    response: await seenResponse(axios, response),
  }
}

function seenRequests(requests, token) {
  return requests.map(({ method, url, headers, body }) => {
    const { authorization, ...others } = without(OF_THE_CONNECTION, headers)
    // The token is the sender's own doing.
    return { method, url, body, headers: { ...others, authorization: authorization === `Bearer ${token}` ? undefined : authorization } }
  })
}

/** As text without the boundary of a form, which is drawn for each request. */
function withoutBoundary(value) {
  const json = JSON.stringify(value)
  const boundary = /boundary=([-.\w]+)/.exec(json)?.[1]
  return JSON.parse(boundary === undefined ? json : json.replaceAll(boundary, 'BOUNDARY'))
}

/** What differs between two runs. Of calls of which only one was answered, the answer and the error are not compared. */
function differences(expected, actual) {
  const [own, ours] = [expected, actual].map(({ outcome }) => outcome)
  if (own.outcome === ours.outcome) return paths(expected, actual)
  return ['outcome', ...paths(expected.requests, actual.requests, 'requests')]
}

/** The paths at which two values differ; a list as a whole where its length does. */
function paths(expected, actual, path = '') {
  if (Object.is(expected, actual)) return []
  const isTree = [expected, actual].every((value) => typeof value === 'object' && value !== null)
  const isComparable =
    isTree && Array.isArray(expected) === Array.isArray(actual) && !(Array.isArray(expected) && expected.length !== actual.length)
  if (!isComparable) return [path]
  const keys = [...new Set([...Object.keys(expected), ...Object.keys(actual)])].sort()
  return keys.flatMap((key) => paths(expected[key], actual[key], path === '' ? key : `${path}.${key}`))
}

module.exports = { differences, seen, seenRequests, withoutBoundary }
