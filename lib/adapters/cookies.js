'use strict'

/** Several `set-cookie` headers come joined. Only a comma before `name=` divides them; dates have commas, too. */
function splitCookies(joined) {
  return joined.split(/,\s*(?=[^;,=\s]+=)/)
}

module.exports = { splitCookies }
