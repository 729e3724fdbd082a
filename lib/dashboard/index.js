'use strict'

const { createDashboard } = require('./dashboard.js')

module.exports = { createDashboard }
