'use strict'

const {
  AuthError,
  ClosedError,
  ConfigError,
  DeliveryError,
  ExpiredError,
  QueueFullError,
  SpillwayError,
  StoreError,
} = require('./lib/errors.js')
const { Sender } = require('./lib/sender.js')
const { Simulator } = require('./lib/simulator.js')

module.exports = {
  AuthError,
  ClosedError,
  ConfigError,
  DeliveryError,
  ExpiredError,
  QueueFullError,
  Sender,
  Simulator,
  SpillwayError,
  StoreError,
}
