'use strict'

const { instrument } = require('./instrument.js')

module.exports = { instrument }
