'use strict'

module.exports = require('./lib/adapters/fetch.js')
