'use strict'

const { isObject } = require('../checks.js')

const RIGHTS = ['read', 'act']
const BY_CHARS_MAX = 128

/** What one viewer may see, and what of it they may change. */
class Access {
  /** Who acts, as `authorize` names them; null if it doesn't. */
  by
  #organizations
  #mayAct

  constructor({ mayAct, organizations = null, by = null }) {
    this.#organizations = organizations === null ? null : new Set(organizations)
    this.#mayAct = mayAct
    this.by = by
  }

  sees(organization) {
    return this.#organizations === null || this.#organizations.has(organization)
  }

  actsOn(organization) {
    return this.#mayAct && this.sees(organization)
  }

  /** Where this viewer may act: `'all'`, or the names. */
  get acts() {
    if (!this.#mayAct) return []
    return this.#organizations === null ? 'all' : [...this.#organizations]
  }
}

/** What `authorize` gave, as an Access; null is nobody. Throws for what is neither. */
function accessOf(given, readOnly) {
  if (given === false || given === null || given === undefined) return null
  const { may, organizations = null, by = null } = isObject(given) ? given : { may: given }
  const areNames = organizations === null || (Array.isArray(organizations) && organizations.every((name) => typeof name === 'string'))
  if (!RIGHTS.includes(may) || !areNames || !(by === null || typeof by === 'string')) {
    throw new TypeError("authorize must give false, 'read', 'act' or { may: 'read' | 'act', organizations?, by? }")
  }
  return new Access({ mayAct: may === 'act' && !readOnly, organizations, by: by?.slice(0, BY_CHARS_MAX) ?? null })
}

module.exports = { accessOf }
