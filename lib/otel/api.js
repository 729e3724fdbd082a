'use strict'

const { SpillwayError } = require('../errors.js')

try {
  module.exports = require('@opentelemetry/api')
} catch (cause) {
  throw new SpillwayError('spillway/otel needs the package @opentelemetry/api, version 1.9 or newer: npm install @opentelemetry/api', {
    code: 'PEER_MISSING',
    cause,
  })
}
