'use strict'

// The roots that Node.js trusts: the core asks for them once per process, before the first connection that needs TLS.

/** The roots as PEM, in one text; none where Node.js uses the system's alone, or was built without TLS. */
function nodeRoots() {
  let tls
  try {
    tls = require('node:tls')
  } catch {
    return ''
  }
  // What Node.js trusts now, by its flags and by tls.setDefaultCACertificates; older ones only tell what they bring.
  const roots = tls.getCACertificates?.('default') ?? (usesSystemOnly() ? [] : tls.rootCertificates)
  return roots.join('\n')
}

function usesSystemOnly() {
  return [...process.execArgv, ...(process.env.NODE_OPTIONS ?? '').split(/\s+/)].includes('--use-openssl-ca')
}

let settling = null

/** Settles whom the process trusts. `settle` reads and parses the roots in a thread of the pool, and resolves with warnings. */
function settleTrust(settle) {
  settling ??= settle(nodeRoots())
    .then((warnings) => warnings.forEach(warnOfRoots))
    .finally(() => (settling = null))
  return settling
}

/** As Node.js tells that it ignores NODE_EXTRA_CA_CERTS. */
function warnOfRoots(warning) {
  process.emitWarning(warning, { code: 'SPILLWAY_CA_CERTS' })
}

module.exports = { settleTrust }
