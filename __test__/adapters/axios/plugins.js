'use strict'

// Programs with packages that work on any adapter of axios: what their own tests expect of one, rewritten as programs.

const axiosRetry = require('axios-retry').default
const MockAdapter = require('axios-mock-adapter')

const dataOf = (promise) =>
  promise.then(
    ({ status, data }) => [status, data],
    ({ message, code, response }) => [message, code, response?.status, response?.data],
  )
const inTurn = async (calls) => {
  const results = []
  for (const call of calls) results.push(await dataOf(call()))
  return results
}

function mocked({ http, axios }, options) {
  const own = axios.create(http.defaults)
  return { own, mock: new MockAdapter(own, options) }
}

/** The cache has an instance of its own, whose interceptors stay off the others. */
async function cached({ http, axios }, options) {
  const { setupCache } = require('axios-cache-interceptor')
  return setupCache(axios.create(http.defaults), options)
}

async function cachedOf(promise) {
  const result = await promise.catch((error) => error)
  const { cached, stale, status, data, code, response } = result
  return { cached, stale, status, data, code, refusal: response?.status }
}

const MOCKS = {
  'mock: some calls pass through': (context) => {
    const { own, mock } = mocked(context)
    mock.onGet('/json').reply(200, 'mocked')
    mock.onGet('/500').reply(200, 'mocked')
    mock.onGet('/text').passThrough()
    return inTurn([() => own.get('/json'), () => own.get('/500'), () => own.get('/text'), () => own.get('/none')])
  },
  'mock: a refusal passes through': (context) => {
    const { own, mock } = mocked(context)
    mock.onGet('/500').passThrough()
    return own.get('/500')
  },
  'mock: all else passes through': (context) => {
    const { own, mock } = mocked(context)
    mock.onGet('/json').reply(200, 'mocked').onAny().passThrough()
    return inTurn([() => own.get('/json'), () => own.get('/echo/a'), () => own.post('/echo/b', { a: 1 })])
  },
  'mock: what has no handler passes through': (context) => {
    const { own } = mocked(context, { onNoMatch: 'passthrough' })
    return own.get('/echo')
  },
  'mock: a baseURL alone': (context) => {
    const { own, mock } = mocked(context)
    mock.onAny().passThrough()
    return own.get(undefined)
  },
  'mock: a baseURL with a slash': ({ url, ...context }) => {
    const { own, mock } = mocked(context)
    own.defaults.baseURL = `${url}/echo/`
    mock.onAny().passThrough()
    return own.get('/below')
  },
  'mock: requests are transformed once': async (context) => {
    const { own, mock } = mocked(context)
    mock.onAny().passThrough()
    const { config, data } = await own.post('/echo', 'foo', { transformRequest: [(data) => `${data}foo`] })
    return [config.data, data]
  },
  'mock: answers are transformed once': (context) => {
    const { own, mock } = mocked(context)
    mock.onAny().passThrough()
    return own.get('/text', { transformResponse: [(data) => `${data}foo`] })
  },
  'mock: interceptors run once': async (context) => {
    const { own, mock } = mocked(context)
    mock.onAny().passThrough()
    const calls = []
    own.interceptors.request.use((config) => (calls.push('request'), config))
    own.interceptors.response.use((response) => (calls.push('response'), response))
    await own.get('/json')
    return calls
  },
  'mock: restored': async (context) => {
    const { own, mock } = mocked(context)
    mock.onGet('/json').reply(200, 'mocked')
    mock.restore()
    return own.get('/json')
  },
  'mock: an abort passes through': (context) => {
    const { own, mock } = mocked(context)
    mock.onAny().passThrough()
    const controller = new AbortController()
    context.arrival().then(() => controller.abort())
    return own.get('/slow', { signal: controller.signal })
  },
  'mock: a time-out passes through': (context) => {
    const { own, mock } = mocked(context)
    mock.onAny().passThrough()
    return own.get('/slow', { timeout: 200 })
  },
}

const CACHES = {
  'cache: the second call is answered from it': async (context) => {
    const axios = await cached(context)
    return [await cachedOf(axios.get('/json')), await cachedOf(axios.get('/json'))]
  },
  'cache: calls at the same time share one request': async (context) => {
    const axios = await cached(context)
    return Promise.all(Array.from({ length: 5 }, () => cachedOf(axios.get('/json'))))
  },
  'cache: calls at the same time share one refusal': async (context) => {
    const axios = await cached(context)
    return Promise.all(Array.from({ length: 3 }, () => cachedOf(axios.get('/404'))))
  },
  'cache: Cache-Control is read': async (context) => {
    const axios = await cached(context)
    return [await cachedOf(axios.get('/no-store')), await cachedOf(axios.get('/no-store'))]
  },
  'cache: an ETag is asked for again': async (context) => {
    const axios = await cached(context, { etag: true })
    return [await cachedOf(axios.get('/etag')), await cachedOf(axios.get('/etag'))]
  },
  'cache: Last-Modified is asked for again': async (context) => {
    const axios = await cached(context, { modifiedSince: true })
    return [await cachedOf(axios.get('/modified')), await cachedOf(axios.get('/modified'))]
  },
  'cache: Vary divides it': async (context) => {
    const axios = await cached(context)
    const get = (language) => cachedOf(axios.get('/vary', { headers: { 'Accept-Language': language } }))
    return [await get('en'), await get('de'), await get('en')]
  },
  'cache: a stale answer rather than an error': async (context) => {
    const axios = await cached(context, { staleIfError: true })
    return [await cachedOf(axios.get('/once')), await cachedOf(axios.get('/once'))]
  },
  'cache: after an abort': async (context) => {
    const axios = await cached(context)
    const controller = new AbortController()
    context.arrival().then(() => controller.abort())
    return [await cachedOf(axios.get('/slow-once', { signal: controller.signal })), await cachedOf(axios.get('/slow-once'))]
  },
  'cache: a body of bytes': async (context) => {
    const axios = await cached(context)
    return [
      await cachedOf(axios.get('/bytes', { responseType: 'arraybuffer' })),
      await cachedOf(axios.get('/bytes', { responseType: 'arraybuffer' })),
    ]
  },
  'cache: invalidated by a post': async (context) => {
    const axios = await cached(context)
    const list = () => cachedOf(axios.get('/json', { id: 'list' }))
    return [await list(), await cachedOf(axios.post('/echo', {}, { cache: { update: { list: 'delete' } } })), await list()]
  },
}

const RETRIES = {
  'axios-retry: a 500': ({ http, axios }) => {
    const own = axios.create(http.defaults)
    axiosRetry(own, { retries: 2, retryDelay: () => 1 })
    return own.get('/500')
  },
  'axios-retry: a post is not repeated': ({ http, axios }) => {
    const own = axios.create(http.defaults)
    axiosRetry(own, { retries: 2, retryDelay: () => 1 })
    return own.post('/500', {})
  },
  'axios-retry: a connection that is cut': ({ http, axios }) => {
    const own = axios.create(http.defaults)
    axiosRetry(own, { retries: 2, retryDelay: () => 1 })
    return dataOf(own.get('/cut-once')).then(([status]) => status)
  },
  'axios-retry: a time-out': ({ http, axios }) => {
    const own = axios.create(http.defaults)
    axiosRetry(own, { retries: 1, retryDelay: () => 1, shouldResetTimeout: true, retryCondition: ({ code }) => code === 'ECONNABORTED' })
    return own.get('/slow', { timeout: 200 })
  },
}

const PLUGINS = { ...MOCKS, ...CACHES, ...RETRIES }

module.exports = { PLUGINS }
