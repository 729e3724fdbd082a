'use strict'

module.exports = require('./lib/adapters/sdk.js')
