'use strict'

// Neighbors of the programs in ./programs.js: redirects by odd locations, and answers and calls with names that mean something to JavaScript.

const query = (path, pairs) => `${path}?${new URLSearchParams(pairs)}`
const to = (by, is) =>
  query('/to', [
    ['by', by],
    ['is', is],
  ])
const utf8 = (text) => Buffer.from(text, 'utf8').toString('latin1')
const names = (headers, wanted) => [...headers].filter(([name]) => wanted.includes(name))

const LOCATIONS = {
  'in UTF-8': utf8('/echo/名前?q=ü'),
  'in Latin-1': '/echo/é',
  'with spaces': '/echo/a b?c d',
  'with a fragment': '/echo#part',
  'that is a query': '?by=303&is=/echo',
  'that is a fragment': '#part',
  'that is relative': 'a/../echo/./b',
  'with backslashes': '/echo\\a\\b',
  'of two slashes': '//',
  'with a percent sign': '/echo/100%',
  'of many bytes': `/echo/${'x'.repeat(7_000)}`,
}

module.exports = {
  'redirect to nothing': (fetch, url) => fetch(url + to(302, '')),
  'redirect to nothing of a POST': (fetch, url) => fetch(url + to(303, ''), { method: 'POST', body: 'x' }),
  'redirect to nothing, manual': (fetch, url) => fetch(url + to(302, ''), { redirect: 'manual' }),
  'redirect to nothing, error': (fetch, url) => fetch(url + to(307, ''), { redirect: 'error' }),
  ...Object.fromEntries(
    Object.entries(LOCATIONS).map(([name, location]) => [`redirect to a location ${name}`, (fetch, url) => fetch(url + to(302, location))]),
  ),
  'redirect with a fragment in the address': (fetch, url) => fetch(`${url}${to(302, '/echo')}#mine`),
  'redirect by two locations': (fetch, url) => fetch(`${url}/to-two`),
  'a header content-mine of a POST that becomes a GET': (fetch, url) =>
    fetch(url + to(303, '/echo'), { method: 'POST', body: 'x', headers: { 'content-mine': 'a', 'content-location': '/b' } }),
  'a redirect of 304': (fetch, url) => fetch(url + to(304, '/echo')),
  'a redirect of 201': (fetch, url) => fetch(url + to(201, '/echo')),
  ...Object.fromEntries(
    ['constructor', '__proto__', 'valueof', 'gzip,constructor', ',', 'gzip;q=1', 'gzip,'].map((coding) => [
      `content coding ${coding}`,
      (fetch, url) => fetch(url + query('/coded', { as: coding })).then(async (answer) => [answer.status, await answer.text()]),
    ]),
  ),
  'headers named as members of an object': async (fetch, url) =>
    names((await fetch(`${url}/members`)).headers, ['__proto__', 'constructor', 'hasownproperty', 'tostring']),
  'headers named as members of an object, sent': (fetch, url) =>
    fetch(`${url}/echo`, {
      headers: [
        ['__proto__', 'a'],
        ['constructor', 'b'],
      ],
    }),
  ...Object.fromEntries(
    ['high', 'auto', 'constructor', '__proto__'].map((priority) => [
      `priority ${priority}`,
      (fetch, url) => fetch(`${url}/echo`, { priority }),
    ]),
  ),
  'an answer after an early hint': (fetch, url) => fetch(`${url}/hinted`),
  'trailers of an answer': (fetch, url) => fetch(`${url}/trailers`),
  'an address with spaces around it': (fetch, url) => fetch(`  ${url}/echo\n`),
  'an address as an object with toString': (fetch, url) => fetch({ toString: () => `${url}/echo` }),
  'an address as a String': (fetch, url) => fetch(new String(`${url}/echo`)),
  'a stream without duplex is refused': (fetch, url) => fetch(`${url}/echo`, { method: 'POST', body: new ReadableStream() }),
  'a Readable as body': (fetch, url) =>
    fetch(`${url}/echo`, {
      method: 'POST',
      body: require('node:stream').Readable.from(['a', 'b'].map(Buffer.from)),
      duplex: 'half',
      headers: { 'content-type': 'text/x' },
    }),
  'headers that are no text': (fetch, url) => fetch(`${url}/echo`, { headers: { 'x-a': 1, 'x-b': null, 'x-c': undefined } }),
  'headers that are a list of three': (fetch, url) => fetch(`${url}/echo`, { headers: [['x', 'y', 'z']] }),
  'a cookie of the caller': (fetch, url) => fetch(`${url}/echo`, { headers: { cookie: 'a=b' } }),
  'a body of type, of a blob': (fetch, url) => fetch(`${url}/echo`, { method: 'POST', body: new Blob(['a'], { type: 'text/mine' }) }),
  'an empty body': (fetch, url) => fetch(`${url}/echo`, { method: 'POST', body: '' }),
  'no body of a POST': (fetch, url) => fetch(`${url}/echo`, { method: 'POST' }),
  'the type of a blob': async (fetch, url) => (await (await fetch(`${url}/json`)).blob()).type,
  'a body is read once': async (fetch, url) => {
    const answer = await fetch(`${url}/json`)
    await answer.text()
    return [answer.bodyUsed, await answer.text().catch(({ name }) => name)]
  },
}
