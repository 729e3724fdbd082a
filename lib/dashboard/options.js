'use strict'

const { checkBoolean, checkObject, invalid, isObject } = require('../checks.js')

const KEYS = new Set(['readOnly', 'bodies', 'authorize', 'hosts', 'rampReport'])
const HOSTS_MAX = 100
const HOST = /^[a-z\d](?:[a-z\d.-]*[a-z\d])?(?::\d{1,5})?$/

/** The options of a dashboard, with their defaults. */
function checkOptions(options = {}) {
  const { readOnly = true, bodies = false, authorize = null, hosts = [], rampReport = null } = checkObject('options', options, KEYS)
  if (authorize !== null && typeof authorize !== 'function') throw invalid('authorize', 'a function', authorize)
  return {
    readOnly: checkBoolean('readOnly', readOnly),
    bodies: checkBoolean('bodies', bodies),
    authorize,
    hosts: new Set(checkHosts(hosts)),
    rampReport: checkRampReport(rampReport),
  }
}

function checkHosts(hosts) {
  const rule = `an array of at most ${HOSTS_MAX} names, such as 'ops.example.com'`
  if (!Array.isArray(hosts) || hosts.length > HOSTS_MAX) throw invalid('hosts', rule, hosts)
  return hosts.map((host) => {
    const name = typeof host === 'string' ? host.toLowerCase() : ''
    if (!HOST.test(name)) throw invalid('hosts', 'names without a scheme, with a port where it is not the usual one', host)
    return name
  })
}

/** One file for all organizations, or a file for each. */
function checkRampReport(value) {
  const isPath = (path) => typeof path === 'string' && path !== ''
  if (value === null || isPath(value) || (isObject(value) && Object.values(value).every(isPath))) return value
  throw invalid('rampReport', 'the path of a report, or an object of paths by organization', value)
}

module.exports = { checkOptions }
