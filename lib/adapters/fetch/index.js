'use strict'

module.exports = require('./create-fetch.js')
