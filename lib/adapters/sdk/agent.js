'use strict'

const { ConfigError } = require('../../errors.js')
const { agentFault } = require('../agent.js')

/** Refuses an agent that API calls can't do without, since they don't use it. */
function checkAgent(agent) {
  const fault = agentFault(agent)
  if (fault !== undefined) throw new ConfigError(`httpsAgent ${fault}`, { field: 'httpsAgent' })
}

module.exports = { checkAgent }
