'use strict'

// What differs between axios' own http adapter and ours, program by program: the paths of what the program or the server
// sees. `outcome` means that one was answered and the other was not.

const CONNECTION = "headers of the connection are the sender's own: those that change where a call goes are refused, the others left out"
const TOKEN = "API calls carry the sender's own token: credentials of the caller are refused by name"
const HEADERS = 'the sender checks headers by its own rules: at most 64, and an AxiosError for a name that is none'
const ENCODED = 'what a URL must not hold is encoded, and not an error'
const WEB_STREAM = 'streams of the web are sent, too'
const OLD_SETTLE = '1.5 has no code for a refused 2xx or 3xx: ours is that of newer versions'
const OLD_ANSWERS = '1.5 has no response here, knows only lower-case encodings, and does not limit streams: ours is as in newer versions'
const OLD_REQUESTS = '1.5 fails by an error of Node, or has no such option: ours is as in newer versions'
const OLD_FORMS = '1.5 ends a form with one line end too many'
const OLD_LIMIT = '1.5 reports it by the code of follow-redirects: ours is that of newer versions'
const OLD_CALLBACK = '1.5 gives beforeRedirect the options alone: ours gives the answer and the request, too'
const OLD_PROGRESS = '1.5 does not say lengthComputable'

/** Of all versions. */
const ALWAYS = {
  'requests: Host of its own': { because: CONNECTION, differs: ['outcome', 'requests'] },
  'requests: TE of its own': { because: CONNECTION, differs: ['requests.0.headers.te'] },
  'requests: Proxy-Authorization of its own': { because: CONNECTION, differs: ['outcome', 'requests'] },
  'requests: Authorization of its own': { because: TOKEN, differs: ['outcome', 'requests'] },
  'requests: auth': { because: TOKEN, differs: ['outcome', 'requests'] },
  'requests: auth beside Authorization': { because: TOKEN, differs: ['outcome', 'requests'] },
  'requests: a name and a password in the URL': { because: TOKEN, differs: ['outcome', 'requests'] },
  'redirects: auth within the API': { because: TOKEN, differs: ['outcome', 'requests'] },
  'redirects away: away, with auth': { because: TOKEN, differs: ['outcome', 'requests'] },
  'requests: a header with a bad name': {
    because: HEADERS,
    differs: [
      'outcome.code',
      'outcome.hasRequest',
      'outcome.isAxiosError',
      'outcome.isError',
      'outcome.json',
      'outcome.message',
      'outcome.name',
      'outcome.url',
    ],
  },
  'requests: many headers': { because: HEADERS, differs: ['outcome', 'requests'] },
  'requests: paramsSerializer, its encode': { because: ENCODED, differs: ['outcome', 'requests'] },
}

const DIFFERENCES = {
  1.21: {
    ...ALWAYS,
    'bodies: a web stream': { because: WEB_STREAM, differs: ['outcome', 'requests'] },
  },
  1.5: {
    ...ALWAYS,
    'answers: 300': { because: OLD_SETTLE, differs: ['outcome.code'] },
    'answers: 304': { because: OLD_SETTLE, differs: ['outcome.code'] },
    'odd: a redirect to a location: two-with-empty': { because: OLD_SETTLE, differs: ['outcome.code'] },
    'odd: a status above 599': { because: OLD_SETTLE, differs: ['outcome.code'] },
    'answers: validateStatus refuses a 200': { because: OLD_SETTLE, differs: ['outcome.code'] },
    'redirects: an empty location': { because: OLD_SETTLE, differs: ['outcome.code'] },
    'redirects: maxRedirects 0': { because: OLD_SETTLE, differs: ['outcome.code'] },
    'redirects: beforeRedirect, and maxRedirects 0': { because: OLD_SETTLE, differs: ['outcome.value.result.code'] },
    'answers: gzip in capitals': {
      because: OLD_ANSWERS,
      differs: ['outcome.response.data', 'outcome.response.headers.content-encoding', 'outcome.response.type'],
    },
    'answers: gzip that is none': { because: OLD_ANSWERS, differs: ['outcome.response'] },
    'limits: maxContentLength of a stream': {
      because: OLD_ANSWERS,
      differs: ['outcome.response.data.code', 'outcome.response.data.message', 'outcome.response.data.streamed'],
    },
    'requests: paramsSerializer that throws': {
      because: OLD_REQUESTS,
      differs: ['outcome.code', 'outcome.isAxiosError', 'outcome.isError', 'outcome.json'],
    },
    'requests: a header beyond Latin-1': { because: OLD_REQUESTS, differs: ['outcome', 'requests'] },
    'requests: a header with control characters': { because: OLD_REQUESTS, differs: ['outcome', 'requests'] },
    'requests: httpVersion 3': { because: OLD_REQUESTS, differs: ['outcome', 'requests'] },
    'requests: httpVersion that is none': { because: OLD_REQUESTS, differs: ['outcome', 'requests'] },
    'bodies: formDataHeaderPolicy content-only': { because: OLD_REQUESTS, differs: ['requests.0.headers.x-form'] },
    'redirects away: away, sensitiveHeaders': { because: OLD_REQUESTS, differs: ['requests.1.headers.x-api-key'] },
    'redirects away: away, sensitiveHeaders that are no list': { because: OLD_REQUESTS, differs: ['outcome', 'requests'] },
    'redirects away: away, sensitiveHeaders that are no names': { because: OLD_REQUESTS, differs: ['outcome', 'requests'] },
    'bodies: a form': { because: OLD_FORMS, differs: ['outcome.response.data.body', 'requests.0.body'] },
    'bodies: a form with a boundary of the caller': { because: OLD_FORMS, differs: ['outcome.response.data.body', 'requests.0.body'] },
    'bodies: an empty form': { because: OLD_FORMS, differs: ['outcome.response.data.body', 'requests.0.body'] },
    'bodies: a form of another realm': { because: OLD_FORMS, differs: ['outcome.response.data.body', 'requests.0.body'] },
    'bodies: env.FormData': { because: OLD_FORMS, differs: ['outcome.response.data.body', 'requests.0.body'] },
    'bodies: maxBodyLength of a stream': { because: OLD_LIMIT, differs: ['outcome.code', 'outcome.name'] },
    'bodies: maxBodyLength of a form': { because: OLD_LIMIT, differs: ['outcome.code', 'outcome.name'] },
    'bodies: maxBodyLength of a blob': { because: OLD_LIMIT, differs: ['outcome.code', 'outcome.name'] },
    'redirects: beforeRedirect': {
      because: OLD_CALLBACK,
      differs: ['outcome.value.calls.0.11', 'outcome.value.calls.0.8', 'outcome.value.calls.0.9'],
    },
    'redirects: beforeRedirect of a post': {
      because: OLD_CALLBACK,
      differs: ['outcome.value.calls.0.11', 'outcome.value.calls.0.8', 'outcome.value.calls.0.9'],
    },
    'redirects: beforeRedirect of a loop': {
      because: OLD_CALLBACK,
      differs: [
        'outcome.value.calls.0.11',
        'outcome.value.calls.0.8',
        'outcome.value.calls.0.9',
        'outcome.value.calls.1.11',
        'outcome.value.calls.1.8',
        'outcome.value.calls.1.9',
      ],
    },
    'redirects: beforeRedirect that adds a header': {
      because: OLD_CALLBACK,
      differs: ['outcome.value.calls.0.11', 'outcome.value.calls.0.8', 'outcome.value.calls.0.9'],
    },
    'redirects: beforeRedirect that takes a header away': {
      because: OLD_CALLBACK,
      differs: ['outcome.value.calls.0.11', 'outcome.value.calls.0.8', 'outcome.value.calls.0.9'],
    },
    'redirects: beforeRedirect that changes the path': {
      because: OLD_CALLBACK,
      differs: ['outcome.value.calls.0.11', 'outcome.value.calls.0.8', 'outcome.value.calls.0.9'],
    },
    'redirects: beforeRedirect that changes the method': {
      because: OLD_CALLBACK,
      differs: ['outcome.value.calls.0.11', 'outcome.value.calls.0.8', 'outcome.value.calls.0.9'],
    },
    'redirects: beforeRedirect that throws': {
      because: OLD_CALLBACK,
      differs: ['outcome.value.calls.0.11', 'outcome.value.calls.0.8', 'outcome.value.calls.0.9'],
    },
    'redirects away: away, by beforeRedirect': {
      because: OLD_CALLBACK,
      differs: [
        'outcome.value.calls.0.10.x-api-key',
        'outcome.value.calls.0.11',
        'outcome.value.calls.0.8',
        'outcome.value.calls.0.9',
        'requests.1.headers.x-api-key',
      ],
    },
    'redirects away: away, forbidden by beforeRedirect': {
      because: OLD_CALLBACK,
      differs: ['outcome.value.calls.0.11', 'outcome.value.calls.0.8', 'outcome.value.calls.0.9'],
    },
    'limits: progress of a download': { because: OLD_PROGRESS, differs: ['outcome.value.download.lengthComputable'] },
    'limits: progress of a download, compressed': { because: OLD_PROGRESS, differs: ['outcome.value.download.lengthComputable'] },
    'limits: progress of a download without a length': { because: OLD_PROGRESS, differs: ['outcome.value.download.lengthComputable'] },
    'limits: progress of an upload': { because: OLD_PROGRESS, differs: ['outcome.value.upload.lengthComputable'] },
    'limits: progress of an upload that is refused': {
      because: OLD_PROGRESS,
      differs: ['outcome.value.download.lengthComputable', 'outcome.value.upload.lengthComputable'],
    },
  },
}

module.exports = { DIFFERENCES }
