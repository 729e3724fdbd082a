'use strict'

const { DOMAINS } = require('../regions.js')

const SUFFIXES = [...new Set([...Object.values(DOMAINS), 'pure.cloud', 'us-gov-pure.cloud', 'eusc-pure.cloud'])]
const BRANDED = /(^|\.)mypurecloud\.[a-z.]+$/

/** Whether it is a host of Genesys Cloud, where nobody may run a load test without asking. */
function isGenesysHost(url) {
  const host = new URL(url).hostname.toLowerCase().replace(/\.$/, '')
  return BRANDED.test(host) || SUFFIXES.some((suffix) => host === suffix || host.endsWith(`.${suffix}`))
}

module.exports = { isGenesysHost }
