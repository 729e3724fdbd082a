'use strict'

const { about } = require('../about.js')
const { invalid } = require('../checks.js')
const { accessOf } = require('./access.js')
const { Refusal, send, sendJson } = require('./answer.js')
const { assets, sendAsset } = require('./assets.js')
const { checkOptions } = require('./options.js')
const { isCrossSite, isDirectLoopback, isKnownHost } = require('./origin.js')
const { resources } = require('./resources.js')
const { Watch } = require('./watch.js')

const PAGE = 'index.html'

/** A request handler that serves the page of these senders. See index.d.ts. */
function createDashboard(senders, options) {
  const settings = checkOptions(options)
  const watch = new Watch(listOf(senders))
  const { get, post, end } = resources(watch, settings, accessFor)

  async function handler(request, response) {
    try {
      await serve(request, response)
    } catch (error) {
      refuse(response, error)
    }
  }

  async function serve(request, response) {
    if (!isKnownHost(request, settings.hosts)) {
      throw new Refusal(421, 'HOST', 'this host name is not known: name it in the option hosts of the dashboard')
    }
    if (isCrossSite(request)) throw new Refusal(403, 'CROSS_SITE', 'requests of other sites are refused')
    const access = await accessFor(request)
    const url = new URL(request.originalUrl ?? request.url, 'http://localhost')
    const name = url.pathname.slice(url.pathname.lastIndexOf('/') + 1)
    if (request.method === 'POST' && Object.hasOwn(post, name)) return post[name]({ request, response, access, url })
    if (request.method !== 'GET' && request.method !== 'HEAD') throw new Refusal(405, 'METHOD', 'the method is not allowed here')
    if (Object.hasOwn(get, name)) return get[name]({ request, response, access, url })
    const asset = assets().get(name === '' ? PAGE : name)
    if (asset !== undefined) return sendAsset(asset, request, response)
    // Where it is mounted, without the slash that the page's own links need.
    if (!name.includes('.')) return send(response, 302, { location: `./${name}/` })
    throw new Refusal(404, 'NOT_FOUND', 'there is nothing here')
  }

  async function accessFor(request) {
    if (settings.authorize === null && !isDirectLoopback(request)) {
      throw new Refusal(403, 'UNAUTHORIZED', 'without the option authorize the dashboard serves this machine alone')
    }
    const given = settings.authorize === null ? 'act' : await settings.authorize(request)
    const access = accessOf(given, settings.readOnly)
    if (access === null) throw new Refusal(403, 'UNAUTHORIZED', 'not allowed')
    return access
  }

  handler.close = () => {
    end()
    watch.end()
  }
  return handler
}

/** `list()` gives the senders of the moment. */
function listOf(senders) {
  if (about(senders) !== undefined) return () => [senders]
  if (typeof senders === 'function') return senders
  if (typeof senders?.[Symbol.iterator] === 'function') {
    const all = [...senders]
    return () => all
  }
  throw invalid('senders', 'a Sender, several of them, or a function that gives them', senders)
}

function refuse(response, error) {
  if (response.headersSent) return response.destroy()
  const isTold = error instanceof Refusal
  // What `authorize` threw is nobody's business but the log's.
  if (!isTold) process.emitWarning(`the dashboard failed: ${error?.message ?? error}`, { code: 'SPILLWAY_DASHBOARD' })
  const { status, code, message } = isTold ? error : { status: 500, code: 'FAILED', message: 'the dashboard failed; the log says why' }
  sendJson(response, status, { error: { code, message } }, status === 405 ? { allow: 'GET, HEAD, POST' } : {})
}

module.exports = { createDashboard }
