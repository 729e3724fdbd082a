'use strict'

// A small model of the server on a virtual clock, written apart from the Rust simulator: seeds can be run by the hundred.

/** A generator of numbers from 0 to 1 by seed (mulberry32). */
function random(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const ALGORITHMS = {
  'fixed-window': (limit, windowMs, startAt = 0) => {
    let window = -1
    let used = 0
    return (now) => {
      const current = Math.floor((now - startAt) / windowMs)
      if (current !== window) [window, used] = [current, 0]
      return used < limit && (used++, true)
    }
  },
  'opened-window': (limit, windowMs) => {
    let openedAt = -Infinity
    let used = 0
    return (now) => {
      if (now >= openedAt + windowMs) [openedAt, used] = [now, 0]
      return used < limit && (used++, true)
    }
  },
  'sliding-log': (limit, windowMs) => {
    const log = []
    return (now) => {
      while (log.length > 0 && log[0] <= now - windowMs) log.shift()
      return log.length < limit && (log.push(now), true)
    }
  },
  'token-bucket': (limit, windowMs) => {
    let level = limit
    let at = 0
    return (now) => {
      level = Math.min(limit, level + ((now - at) * limit) / windowMs)
      at = now
      return level >= 1 && (level--, true)
    }
  },
}

/** Events in the order of their times. */
class Agenda {
  #heap = []

  add(at, what) {
    const heap = this.#heap
    heap.push({ at, what })
    let child = heap.length - 1
    while (child > 0) {
      const parent = (child - 1) >> 1
      if (heap[parent].at <= heap[child].at) break
      ;[heap[parent], heap[child]] = [heap[child], heap[parent]]
      child = parent
    }
  }

  get nextAt() {
    return this.#heap.length === 0 ? null : this.#heap[0].at
  }

  take() {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (heap.length > 0) {
      heap[0] = last
      let parent = 0
      for (;;) {
        let child = 2 * parent + 1
        if (child >= heap.length) break
        if (child + 1 < heap.length && heap[child + 1].at < heap[child].at) child++
        if (heap[parent].at <= heap[child].at) break
        ;[heap[parent], heap[child]] = [heap[child], heap[parent]]
        parent = child
      }
    }
    return first
  }
}

/** Runs the plateaus of a search against such a server. */
class World {
  now = 0
  #agenda = new Agenda()
  #random
  #admit
  #latency

  constructor({ seed, algorithm, limit, windowMs, latency, others = null }) {
    this.#random = random(seed)
    this.#latency = latency
    this.#admit = ALGORITHMS[algorithm](limit, windowMs, this.#random() * windowMs)
    if (others !== null) {
      const stepMs = windowMs / others
      const next = (at) => this.#agenda.add(at, () => (this.#admit(at), next(at + stepMs)))
      next(this.#random() * stepMs)
    }
  }

  plateau(Plateau, plan, startAt) {
    while (this.#agenda.nextAt !== null && this.#agenda.nextAt < startAt) this.#agenda.take().what()
    const plateau = new Plateau(plan, startAt)
    this.now = startAt
    while (!plateau.isOver) {
      const { dueAt } = plateau
      const { nextAt } = this.#agenda
      if (dueAt !== null && (nextAt === null || dueAt <= nextAt)) {
        this.now = Math.max(this.now, dueAt)
        const observation = plateau.take(this.now)
        if (observation !== null) this.#send(plateau, observation)
      } else {
        this.now = nextAt
        this.#agenda.take().what()
      }
    }
    return { observations: plateau.observations, stopped: plateau.stopped, startAt }
  }

  #send(plateau, observation) {
    const { min, max } = this.#latency
    const wholeMs = min + this.#random() * (max - min)
    const arrivesAt = this.now + wholeMs * this.#random()
    const answeredAt = this.now + wholeMs
    this.#agenda.add(arrivesAt, () => {
      const status = this.#admit(arrivesAt) ? 200 : 429
      this.#agenda.add(answeredAt, () => plateau.answered(observation, status, answeredAt))
    })
  }
}

module.exports = { ALGORITHMS, random, World }
