'use strict'

const { errorFromThrown } = require('../errors.js')
const { native } = require('../load.js')

/** The file of a store, from outside. Every call opens it and closes it again, and waits for the disk meanwhile. */
class OutboxFile {
  bodies
  #path
  #organization

  constructor(path, { bodies, organization }) {
    this.#path = path
    this.bodies = bodies
    this.#organization = organization
  }

  messages() {
    return this.#rows({ op: 'messages', bodies: this.bodies })
  }

  letters() {
    return this.#rows({ op: 'letters', bodies: this.bodies })
  }

  receipts() {
    return this.#rows({ op: 'receipts' })
  }

  find(id) {
    return this.#ask({ op: 'find', id, bodies: this.bodies })
  }

  stats() {
    return this.#ask({ op: 'stats' })
  }

  check() {
    return this.#ask({ op: 'check' })
  }

  redrive(id) {
    return this.#ask({ op: 'redrive', id })
  }

  redriveAll(filter) {
    return this.#ask({ op: 'redriveAll', ...filter })
  }

  drop(id) {
    return this.#ask({ op: 'drop', id })
  }

  pause(untilMs) {
    return this.#ask({ op: 'pause', untilMs })
  }

  resume() {
    return this.#ask({ op: 'resume' })
  }

  backup(target) {
    return this.#ask({ op: 'backup', target })
  }

  markSent(untilMs) {
    return this.#ask({ op: 'markSent', untilMs })
  }

  setAside() {
    return this.#ask({ op: 'setAside' })
  }

  discard(name) {
    return this.#ask({ op: 'discard', name })
  }

  /** A page is in memory, not the file. */
  *#rows(request) {
    for (let after = 0; after !== null; ) {
      const { rows, next } = this.#ask({ ...request, after })
      yield* rows
      after = next
    }
  }

  #ask(request) {
    try {
      return JSON.parse(native().outboxFile(JSON.stringify({ path: this.#path, organization: this.#organization, ...request })))
    } catch (thrown) {
      throw errorFromThrown(thrown)
    }
  }
}

module.exports = { OutboxFile }
