'use strict'

// OpenTelemetry's semantic conventions 1.29: HTTP is stable; messaging is in development, and may change its names.

// Path templates of the presets: names of few values, where the paths themselves are as many as conversations.
const TEMPLATES = {
  messaging: '/api/v2/messaging/conversations/{conversationId}/messages',
  'messaging-array': '/v2/conversations/messages',
  'open-inbound': '/api/v2/conversations/messages/{integrationId}/inbound/open/message',
  'open-event': '/api/v2/conversations/messages/{integrationId}/inbound/open/event',
  'open-receipt': '/api/v2/conversations/messages/{integrationId}/inbound/open/receipt',
  'open-response': '/api/v2/conversations/messages/{integrationId}/inbound/open/structured/response',
  conversation: '/api/v2/conversations/messages/{conversationId}/communications/{communicationId}/messages',
  typing: '/api/v2/conversations/messages/{conversationId}/communications/{communicationId}/typing',
  'social-media': '/api/v2/conversations/messages/{conversationId}/communications/{communicationId}/socialmedia/messages',
  internal: '/api/v2/conversations/{conversationId}/communications/{communicationId}/internalmessages',
  agentless: '/api/v2/conversations/messages/agentless',
}

const templateOf = (route) => TEMPLATES[route] ?? route

function serverOf(apiUrl) {
  const { hostname, port, protocol } = new URL(apiUrl)
  return { 'server.address': hostname, 'server.port': port === '' ? { 'http:': 80, 'https:': 443 }[protocol] : Number(port) }
}

/** Of a request that came to its end; `error.type` only if it failed. */
function outcomeOf({ status, problem }) {
  const attributes = {}
  if (typeof status === 'number') attributes['http.response.status_code'] = status
  const error = errorTypeOf(status, problem)
  if (error !== undefined) attributes['error.type'] = error
  return attributes
}

// Few values: the problem's own text belongs in a span's status.
function errorTypeOf(status, problem) {
  if (typeof status === 'number') return status >= 400 ? String(status) : undefined
  return problem?.startsWith('no answer within') ? 'timeout' : '_OTHER'
}

/** Of an error that a call rejected with: its code, as far as it has one. Its text stays out. */
function errorNameOf(error) {
  const name = typeof error?.code === 'string' ? error.code : error?.name
  return typeof name === 'string' && name !== '' ? name : '_OTHER'
}

module.exports = { errorNameOf, outcomeOf, serverOf, TEMPLATES, templateOf }
