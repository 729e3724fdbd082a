'use strict'

module.exports = require('./lib/adapters/axios.js')
