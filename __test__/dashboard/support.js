'use strict'

const http = require('node:http')
const { once } = require('node:events')

const { createDashboard } = require('../../lib/dashboard/index.js')
const { defer } = require('../defer.js')
const { settled, until } = require('../until.js')

/** A server with the handler; `url` ends with a slash. */
async function mount(t, handler, { port = 0 } = {}) {
  const server = http.createServer(handler).listen(port, '127.0.0.1')
  await once(server, 'listening')
  const close = async () => {
    if (!server.listening) return
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  }
  defer(t, close)
  return { url: `http://127.0.0.1:${server.address().port}/`, port: server.address().port, close }
}

/** A dashboard of these senders, at a port of its own. */
async function dashboardOf(t, senders, options, more) {
  const dashboard = createDashboard(senders, options)
  defer(t, () => dashboard.close())
  return { dashboard, ...(await mount(t, dashboard, more)) }
}

/** `{ status, headers, body, json }`; unlike fetch it sends whatever headers it is given. */
async function ask(url, { method = 'GET', headers = {}, body } = {}) {
  const request = http.request(url, { method, headers, agent: false })
  request.end(body)
  const [response] = await settled(once(request, 'response'))
  response.setEncoding('utf8')
  let text = ''
  for await (const part of response) text += part
  return {
    status: response.statusCode,
    headers: response.headers,
    body: text,
    get json() {
      return JSON.parse(text)
    },
  }
}

/** What an open page would hear: `events` of `{ event, data }` so far, `close()`. */
async function listen(t, url, headers = {}) {
  const request = http.request(url, { headers, agent: false })
  request.end()
  const [response] = await settled(once(request, 'response'))
  const events = []
  let rest = ''
  let isOver = false
  response.setEncoding('utf8').on('data', (text) => {
    const parts = (rest + text).split('\n\n')
    rest = parts.pop()
    for (const part of parts) {
      const [, event, data] = /^event: (.*)\ndata: (.*)$/m.exec(part)
      events.push({ event, data: JSON.parse(data) })
    }
  })
  response.on('error', () => {})
  response.on('close', () => {
    isOver = true
  })
  defer(t, () => request.destroy())
  return {
    events,
    response,
    get isOver() {
      return isOver
    },
    /** The last row of an organization for which this holds. */
    row: (organization, holds = () => true) =>
      until(() => {
        const rows = events.filter(({ event }) => event === 'rows').flatMap(({ data }) => data.rows)
        const row = rows.filter((one) => one.organization === organization).at(-1)
        return row !== undefined && holds(row) ? row : null
      }),
    /** The last event of this name for which this holds. */
    last: (name, holds = () => true) =>
      until(() => {
        const one = events.filter(({ event }) => event === name).at(-1)
        return one !== undefined && holds(one.data) ? one.data : null
      }),
    close: () => request.destroy(),
  }
}

/** Does what the page does: gets a token, and asks for an operation by it. */
async function operate(url, operation, more = {}) {
  const session = await ask(`${url}session`)
  const [cookie] = session.headers['set-cookie'][0].split(';')
  const headers = {
    cookie,
    'content-type': 'application/json',
    'x-spillway-token': session.json.token,
    origin: new URL(url).origin,
    'sec-fetch-site': 'same-origin',
    ...more,
  }
  for (const [name, value] of Object.entries(headers)) if (value === undefined) delete headers[name]
  return ask(`${url}act`, { method: 'POST', headers, body: JSON.stringify(operation) })
}

module.exports = { ask, dashboardOf, listen, mount, operate }
