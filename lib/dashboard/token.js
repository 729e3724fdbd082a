'use strict'

const { createHmac, randomBytes, timingSafeEqual } = require('node:crypto')

const NONCE_BYTES = 18
const NONCE = /^[\w-]{24}$/
/** The header in which a page sends its token. A form can't set it. */
const TOKEN_HEADER = 'x-spillway-token'

/**
 * Tokens against forged acts: a cookie that only requests of this site carry (`SameSite=Strict`), and its signature, which only a page
 * of this origin can read. Nothing is kept per page, and a restart makes all of them void.
 */
class Tokens {
  #key = randomBytes(32)

  /** `{ token, cookie }` for the page that asks. */
  issue(request) {
    const nonce = nonceOf(request) ?? randomBytes(NONCE_BYTES).toString('base64url')
    const secure = request.socket?.encrypted === true ? '; Secure' : ''
    return {
      token: this.#sign(nonce).toString('base64url'),
      cookie: `${cookieName(request)}=${nonce}; Path=/; HttpOnly; SameSite=Strict${secure}`,
    }
  }

  isValid(request) {
    const nonce = nonceOf(request)
    const given = Buffer.from(String(request.headers[TOKEN_HEADER] ?? ''), 'base64url')
    if (nonce === null) return false
    const signature = this.#sign(nonce)
    return given.length === signature.length && timingSafeEqual(given, signature)
  }

  #sign(nonce) {
    return createHmac('sha256', this.#key).update(nonce).digest()
  }
}

// Cookies don't tell ports apart.
function cookieName({ socket }) {
  return `spillway-dashboard-${socket?.localPort ?? 0}`
}

function nonceOf(request) {
  const prefix = `${cookieName(request)}=`
  const all = String(request.headers.cookie ?? '').split(/;\s*/)
  const nonce = all.find((pair) => pair.startsWith(prefix))?.slice(prefix.length)
  return nonce !== undefined && NONCE.test(nonce) ? nonce : null
}

module.exports = { TOKEN_HEADER, Tokens }
