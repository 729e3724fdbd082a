'use strict'

// What only the adapters and the dashboard see of a sender: not in index.d.ts. Adapters of one copy of the package get senders of
// another: the number in a name grows when what is behind it changes.
module.exports = {
  /** A request whose answer is given whatever its status, with its body as bytes. */
  RAW: Symbol.for('spillway.raw/1'),
  /** `{ apiUrl, loginUrl }`, without a slash at the end. */
  BASE_URLS: Symbol.for('spillway.baseUrls/1'),
  /** `{ organization, apiUrl, route }` of its options. */
  ABOUT: Symbol.for('spillway.about/1'),
  /** `(limits)`: what waits longest, what is on the wire, and dead letters by reason. */
  BACKLOG: Symbol.for('spillway.backlog/1'),
  /** Whether it isn't closed. */
  IS_OPEN: Symbol.for('spillway.isOpen/1'),
  /** The version of the package that it is of. This one never changes. */
  VERSION: Symbol.for('spillway.version'),
}
