'use strict'

const { checkObject } = require('./checks.js')
const { asyncDispose } = require('./dispose.js')
const { errorFromThrown } = require('./errors.js')
const { native } = require('./load.js')
const { settingsText } = require('./options.js')

const LEDGER_KEYS = new Set(['ids'])
const START = Symbol('start')

/** A double of the Genesys API, on a local port. See index.d.ts. */
class Simulator {
  #native
  #closing = null

  constructor(key, started) {
    if (key !== START) throw new TypeError('a Simulator is started with await Simulator.start(config), not with new')
    this.#native = started
  }

  static async start(config = {}) {
    const text = settingsText(config, 'config')
    try {
      return new Simulator(START, await native().NativeSimulator.start(text))
    } catch (thrown) {
      throw errorFromThrown(thrown)
    }
  }

  get url() {
    return this.#native.url
  }

  ledger(options = {}) {
    checkObject('options', options, LEDGER_KEYS)
    try {
      return JSON.parse(this.#native.ledger(JSON.stringify(options)))
    } catch (thrown) {
      throw errorFromThrown(thrown)
    }
  }

  async set(config) {
    const text = settingsText(config, 'config')
    try {
      await this.#native.set(text)
    } catch (thrown) {
      throw errorFromThrown(thrown)
    }
  }

  close() {
    this.#closing ??= this.#native.close()
    return this.#closing
  }

  async [asyncDispose]() {
    await this.close()
  }
}

module.exports = { Simulator }
