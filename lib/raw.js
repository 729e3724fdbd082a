'use strict'

// What the adapters see of a sender, and nobody else: not in index.d.ts, and free to change.
module.exports = {
  /** A request whose answer is given whatever its status, with its body as base64. */
  RAW: Symbol('spillway.raw'),
  /** `{ apiUrl, loginUrl }`, without a slash at the end. */
  BASE_URLS: Symbol('spillway.baseUrls'),
}
