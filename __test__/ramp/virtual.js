'use strict'

const { startOf } = require('../../lib/ramp/grid.js')
const { Plateau } = require('../../lib/ramp/plateau.js')
const { search } = require('../../lib/ramp/search.js')
const { verdictOf } = require('../../lib/ramp/verdict.js')
const { ALGORITHMS, random, World } = require('./model.js')

/** A whole search against a model of the server. */
function find({ windowMs, repeat = 3, countMax = 2000, ...server }) {
  const world = new World({ windowMs, ...server })
  const steps = search({ windowMs, repeat, countMax, askWhose: true })
  let quietSince = -windowMs
  let notBefore = 0
  let step = steps.next()
  while (!step.done) {
    const { immediate, phase } = step.value
    const startAt = immediate ? world.now : startOf({ originAt: 0, windowMs, quietSince, notBefore, phase })
    const result = world.plateau(Plateau, step.value, startAt)
    quietSince = world.now
    if (result.stopped === '429') notBefore = world.now + windowMs
    step = steps.next(result)
  }
  return { found: step.value, verdict: verdictOf(step.value, windowMs), elapsedMs: world.now }
}

/** A server by its seed: 5 to 1,000 requests per second or minute, any algorithm, latency, and in a quarter of them others' use. */
function serverOf(seed) {
  const draw = random(seed * 7919)
  const limit = Math.round(5 * 200 ** draw())
  const windowMs = draw() < 0.5 ? 1000 : 60_000
  const algorithm = Object.keys(ALGORITHMS)[Math.floor(draw() * 4)]
  const min = 1 + 19 * draw()
  const latency = { min, max: min + 40 * draw() }
  const others = draw() < 0.25 ? Math.floor(limit * 0.1 * draw()) || null : null
  return { seed, limit, windowMs, algorithm, latency, others }
}

module.exports = { find, serverOf }
