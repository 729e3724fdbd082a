'use strict'

module.exports = require('./adapter.js')
