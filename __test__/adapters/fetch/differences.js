'use strict'

// Where spillway/fetch differs from Node's fetch, by the name of the program that shows it. A difference that isn't listed fails, and so does
// a listed one that is gone. docs/adapters.md has the same in a table.

module.exports = {
  'a body of bytes': 'without a content-type it gets application/octet-stream, since gateways refuse a body without a type',
  'more than 64 headers': 'refused: a request of the sender has at most 64',
  referrer: 'not sent: the API has no use for it',
  'headers of an answer are immutable': 'they can be changed',
  'status text in Latin-1': 'empty, where it has other characters than ASCII',
  'a stream of a 307': 'followed, since the body was kept; Node refuses what it cannot send again',
  'aborted while the body is read': 'the promise rejects, since it waits for the whole answer',
  'a cut body': 'the promise rejects, since half an answer is none',
  'the code of a cut connection': "the cause is the sender's error",
  integrity: 'refused by name',
  'a dispatcher': "refused by name, since calls go over the sender's connections",
  'an Authorization of the caller': "refused by name: calls carry the sender's token",
  'headers that the platform adds': 'the sender adds its own user-agent, and no accept-language and sec-fetch-mode',
}
