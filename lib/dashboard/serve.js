'use strict'

const { once } = require('node:events')
const { createServer } = require('node:http')

const { checkInteger, checkObject } = require('../checks.js')
const { asyncDispose } = require('../dispose.js')
const { ConfigError } = require('../errors.js')
const { createDashboard } = require('./dashboard.js')

const LOOPBACK = '127.0.0.1'

/** Serves a dashboard on this machine alone: `{ url, close() }`. */
async function serveDashboard(senders, options = {}) {
  const { port = 0, ...rest } = checkObject('options', options, new Set(['port', 'readOnly', 'bodies', 'rampReport']))
  checkInteger('port', port, 0, 65_535)
  const handler = createDashboard(senders, rest)
  // A page is no reason to keep the process alive.
  const server = createServer(handler).unref()
  server.on('connection', (socket) => socket.unref())
  server.listen(port, LOOPBACK)
  try {
    await once(server, 'listening')
  } catch (cause) {
    handler.close()
    throw new ConfigError(`the dashboard can't listen at port ${port} (${cause.code})`, { field: 'port', cause })
  }
  let closing = null
  const close = () => {
    closing ??= new Promise((resolve) => {
      handler.close()
      server.close(() => resolve())
      server.closeAllConnections?.()
    })
    return closing
  }
  return { url: `http://${LOOPBACK}:${server.address().port}/`, close, [asyncDispose]: close }
}

module.exports = { serveDashboard }
