'use strict'

const { Simulator } = require('../../index.js')
const { Client } = require('../../lib/ramp/client.js')
const { reportOf } = require('../../lib/ramp/report.js')
const { Requests } = require('../../lib/ramp/requests.js')
const { Session } = require('../../lib/ramp/session.js')

const CREDENTIALS = { clientId: 'ramp', clientSecret: 'ramp-secret' }
const TEMPLATE = '/api/v2/messaging/conversations/{conversationId}/messages'

async function open(t, config) {
  const simulator = await Simulator.start({ credentials: CREDENTIALS, ...config })
  t.after(() => simulator.close())
  const client = new Client({ apiUrl: simulator.url, loginUrl: simulator.url, credentials: CREDENTIALS })
  t.after(() => client.close())
  await client.authorize()
  return { simulator, client, requests: sampleRequests() }
}

function sampleRequests() {
  return new Requests({ template: TEMPLATE, messages: Requests.sample() })
}

function sessionOf({ client, requests }, options) {
  const signal = options.signal ?? new AbortController().signal
  return new Session(client, requests, { countMax: 60, repeat: 3, plateauMs: 0, requestsMax: 1e6, minutesMax: 5, ...options, signal })
}

function report(session, found, requests, limits = null) {
  return reportOf({
    found,
    refusals: session.refusals,
    limits,
    target: 'simulator',
    hasOther: requests.hasOther,
    settings: {},
    startedAt: '',
    elapsedMs: 0,
    sent: session.sent,
  })
}

module.exports = { CREDENTIALS, open, report, sampleRequests, sessionOf, TEMPLATE }
