'use strict'

// ky and ofetch on top of the fetch that is compared: what they make of its answers and failures.

/** An error as their users see it. */
const seen = ({ name, status, statusCode, response, data }) => ({ name, status: status ?? statusCode ?? response?.status, data })

async function withKy(fetch, url) {
  const { default: ky } = await import('ky')
  return ky.create({ prefixUrl: url, fetch, retry: 0 })
}

async function withOfetch(fetch, url) {
  const { createFetch } = await import('ofetch')
  return createFetch({ fetch, Headers, AbortController }).create({ baseURL: url, retry: 0 })
}

const echo = ({ method, url, body, headers }) => ({
  method,
  url,
  body,
  type: headers['content-type'],
  mine: headers['x-mine'],
  accept: headers.accept,
})
const form = () => new URLSearchParams({ a: 'b c' })

const KY = {
  'get json': async (ky) => ky.get('json').json(),
  'post json': async (ky) => echo(await ky.post('echo', { json: { a: 'ü' }, headers: { 'X-Mine': 'a' } }).json()),
  searchParams: async (ky) => echo(await ky.get('echo', { searchParams: { a: 'b c', d: [1, 2] } }).json()),
  'put a form': async (ky) => echo(await ky.put('echo', { body: form() }).json()),
  patch: async (ky) => echo(await ky.patch('echo', { json: {} }).json()),
  delete: async (ky) => echo(await ky.delete('echo').json()),
  head: async (ky) => (await ky.head('json')).status,
  'text and blob': async (ky) => [await ky.get('json').text(), (await ky.get('json').blob()).type],
  'an HTTPError': async (ky) => ky.get('not-found').json().catch(seen),
  'an HTTPError has its body': async (ky) =>
    ky
      .get('not-found')
      .json()
      .catch(({ response }) => response.json()),
  'no throwHttpErrors': async (ky) => (await ky.get('not-found', { throwHttpErrors: false })).status,
  retry: async (ky) =>
    ky
      .get('busy', { retry: { limit: 1, statusCodes: [418], delay: () => 1 } })
      .json()
      .catch(seen),
  hooks: async (ky) => {
    const calls = []
    const hooks = {
      beforeRequest: [(request) => (calls.push(request.method), request.headers.set('x-mine', 'hook'))],
      afterResponse: [(_request, _options, response) => void calls.push(response.status)],
    }
    const { mine } = echo(await ky.post('echo', { json: {}, hooks }).json())
    return [calls, mine]
  },
  timeout: async (ky) => ky.get('never', { timeout: 300 }).catch(seen),
  abort: async (ky) => ky.get('never', { signal: AbortSignal.timeout(300) }).catch(seen),
  'a cut connection': async (ky) => ky.get('cut').catch(({ name }) => name),
  onDownloadProgress: async (ky) => {
    let last
    await ky.get('json', { onDownloadProgress: (progress) => (last = progress) }).text()
    return [last.percent, last.transferredBytes]
  },
}

const OFETCH = {
  'get json': ($fetch) => $fetch('/json'),
  'post json': async ($fetch) => echo(await $fetch('/echo', { method: 'POST', body: { a: 'ü' }, headers: { 'X-Mine': 'a' } })),
  query: async ($fetch) => echo(await $fetch('/echo', { query: { a: 'b c', d: [1, 2] } })),
  'put a form': async ($fetch) => echo(await $fetch('/echo', { method: 'PUT', body: form() })),
  'a method in lower case': async ($fetch) => echo((await $fetch('/echo', { method: 'patch' }).catch(seen)) ?? {}).method,
  raw: async ($fetch) => {
    const { status, _data, headers } = await $fetch.raw('/json')
    return [status, _data, headers.get('content-type')]
  },
  responseType: async ($fetch) => [await $fetch('/json', { responseType: 'text' }), (await $fetch('/json', { responseType: 'blob' })).type],
  'responseType stream': async ($fetch) => new Response(await $fetch('/json', { responseType: 'stream' })).text(),
  'a FetchError': ($fetch) => $fetch('/not-found').catch(seen),
  ignoreResponseError: ($fetch) => $fetch('/not-found', { ignoreResponseError: true }),
  retry: ($fetch) => $fetch('/busy', { retry: 1, retryStatusCodes: [418], retryDelay: 1 }).catch(seen),
  hooks: async ($fetch) => {
    const calls = []
    await $fetch('/not-found', {
      onRequest: ({ options }) => void calls.push(options.method ?? 'GET'),
      onResponse: ({ response }) => void calls.push(response.status),
      onResponseError: ({ response }) => void calls.push(response._data),
    }).catch(() => {})
    return calls
  },
  timeout: ($fetch) => $fetch('/never', { timeout: 300 }).catch(({ name, cause }) => [name, cause?.name]),
  'a cut connection': ($fetch) => $fetch('/cut', { method: 'POST' }).catch(({ name, cause }) => [name, cause?.message]),
}

const named = (client, make, programs) =>
  Object.entries(programs).map(([name, program]) => [`${client}: ${name}`, async (fetch, url) => program(await make(fetch, url))])

module.exports = Object.fromEntries([...named('ky', withKy, KY), ...named('ofetch', withOfetch, OFETCH)])
