'use strict'

const PAGE = 20
/** How far the list goes: reading letters costs their bodies. */
const SKIP_MAX = 10_000

/** `{ letters, more }` of those that the filter takes, the oldest first, from the `skip`th on. */
async function listLetters(sender, { filter, skip, bodies }) {
  const letters = []
  let passed = 0
  for await (const letter of sender.deadLetters()) {
    if (!takes(filter, letter)) continue
    if (passed++ < skip) continue
    if (letters.length === PAGE) return { letters, more: true }
    letters.push(shown(letter, bodies))
  }
  return { letters, more: false }
}

/** Whether `redrive(filter)` would take it. */
function takes({ reason, status, since = Number.NEGATIVE_INFINITY }, letter) {
  return (reason === undefined || letter.reason === reason) && (status === undefined || letter.status === status) && letter.atMs >= since
}

// Servers echo texts: an answer is as private as what it answers.
function shown({ body, response, ...letter }, bodies) {
  return bodies ? { ...letter, body, response } : letter
}

module.exports = { listLetters, SKIP_MAX, takes }
