// Makes webchat-peak.jsonl: the first twelve seconds of a web chat's peak hour, as messages to send.
//
//   node examples/make-webchat-peak.mjs            writes the file beside this script
//   node examples/make-webchat-peak.mjs -          prints it instead
//
// The same seed gives the same bytes on every machine: nothing here asks for the time, a locale or Math.random.
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { LONG_TEXTS, SENTENCES, WORDS } from './webchat-sentences.mjs'

export const ROWS = 2_400
export const CONVERSATIONS = 160
export const REPEATS = 12
export const SPAN_MS = 12_000

/** When customers write all at once: a mailing went out, the shop went down, the hold music ended. */
const PEAKS = [
  { atMs: 900, widthMs: 260, share: 0.2 },
  { atMs: 3_400, widthMs: 420, share: 0.22 },
  { atMs: 6_100, widthMs: 180, share: 0.16 },
  { atMs: 9_700, widthMs: 500, share: 0.2 },
]
const LONG_SHARE = 0.012

/** mulberry32: 32 bits of state, enough for chat, and the same everywhere. */
function generator(seed) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  const below = (limit) => Math.floor(next() * limit)
  return { next, below, pick: (list) => list[below(list.length)] }
}

/** Shaped like a version 4 UUID, drawn from the seed. */
function uuid(random) {
  const hex = Array.from({ length: 32 }, () => random.below(16).toString(16))
  hex[12] = '4'
  hex[16] = '89ab'[random.below(4)]
  const text = hex.join('')
  return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join('-')
}

/** The sum of four uniform draws is close enough to a bell, and needs no logarithm that could differ between machines. */
function bell(random) {
  return (random.next() + random.next() + random.next() + random.next()) / 2 - 1
}

function arrivalMs(random) {
  let left = random.next()
  for (const peak of PEAKS) {
    if (left < peak.share) {
      return Math.min(SPAN_MS - 1, Math.max(0, Math.round(peak.atMs + bell(random) * peak.widthMs)))
    }
    left -= peak.share
  }
  return random.below(SPAN_MS)
}

function fill(template, random) {
  return template.replace(/\{(\w+)\}/g, (_, name) => {
    switch (name) {
      case 'order':
        return `${random.pick(['SP', 'AX', 'WEB', '№'])}-${100_000 + random.below(900_000)}`
      case 'amount':
        return `${1 + random.below(480)}.${String(random.below(100)).padStart(2, '0')}`
      case 'date':
        return `2026-${String(1 + random.below(12)).padStart(2, '0')}-${String(1 + random.below(28)).padStart(2, '0')}`
      case 'time':
        return `${String(7 + random.below(14)).padStart(2, '0')}:${random.pick(['00', '10', '15', '30', '45'])}`
      case 'n':
        return String(2 + random.below(8))
      default:
        return random.pick(WORDS[name])
    }
  })
}

/** One customer writes in one language for the whole conversation, as people do. */
function openConversations(random) {
  const languages = Object.keys(SENTENCES)
  return Array.from({ length: CONVERSATIONS }, (_, index) => {
    const talkative = random.next()
    return {
      id: uuid(random),
      from: { id: uuid(random), idType: 'Opaque' },
      language: index < languages.length ? languages[index] : random.pick(languages),
      seq: 0,
      // Some talk much, some write once: the square makes a few conversations long.
      weight: 0.15 + talkative * talkative,
    }
  })
}

function pickWeighted(conversations, total, random) {
  let left = random.next() * total
  for (const conversation of conversations) {
    left -= conversation.weight
    if (left < 0) return conversation
  }
  return conversations[conversations.length - 1]
}

function makeText(conversation, random) {
  if (random.next() < LONG_SHARE) return fill(random.pick(LONG_TEXTS), random)
  const sentences = SENTENCES[conversation.language]
  const first = fill(random.pick(sentences), random)
  const joint = random.next()
  if (joint < 0.12) return `${first}\n${fill(random.pick(sentences), random)}`
  if (joint < 0.2) return `${first} ${random.pick(WORDS.emoji)}`
  return first
}

/** @returns {object[]} the rows of the file, in the order in which they arrive */
export function makeRows(seed = 20_260_314) {
  const random = generator(seed)
  const conversations = openConversations(random)
  const total = conversations.reduce((sum, { weight }) => sum + weight, 0)
  const times = Array.from({ length: ROWS - REPEATS }, () => arrivalMs(random)).sort((a, b) => a - b)
  const rows = times.map((atMs, index) => {
    // Everyone says at least one thing.
    const conversation = index < CONVERSATIONS ? conversations[index] : pickWeighted(conversations, total, random)
    return {
      atMs,
      id: uuid(random),
      conversationId: conversation.id,
      seq: conversation.seq++,
      type: 'Text',
      direction: 'Inbound',
      from: conversation.from,
      text: makeText(conversation, random),
    }
  })
  // A webhook that is delivered twice: the same row once more, a little later.
  const repeats = Array.from({ length: REPEATS }, (_, index) => {
    const first = rows[Math.floor(((index + 0.5) * rows.length) / REPEATS)]
    return { ...first, atMs: Math.min(SPAN_MS - 1, first.atMs + 40 + random.below(600)) }
  })
  return [...rows, ...repeats].sort((a, b) => a.atMs - b.atMs)
}

/** @returns {string} the file, one JSON object a line */
export function makeFile(seed) {
  return makeRows(seed)
    .map((row) => `${JSON.stringify(row)}\n`)
    .join('')
}

if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) {
  if (process.argv[2] === '-') process.stdout.write(makeFile())
  else writeFileSync(new URL('./webchat-peak.jsonl', import.meta.url), makeFile())
}
