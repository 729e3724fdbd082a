'use strict'

const { checkObject } = require('./checks.js')
const { asyncDispose } = require('./dispose.js')
const { errorFromThrown } = require('./errors.js')
const { native } = require('./load.js')
const { settingsText } = require('./options.js')

const LEDGER_KEYS = new Set(['ids'])
const START = Symbol('start')
// A program may keep only the address: whoever has started a server has not said yet that it may end.
const running = new Set()

/** A double of the Genesys API, on a local port. See types/simulator.d.ts. */
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
      const simulator = new Simulator(START, await native().NativeSimulator.start(text))
      running.add(simulator)
      return simulator
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
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [asyncDispose]() {
    await this.close()
  }

  async #close() {
    try {
      await this.#native.close()
    } finally {
      running.delete(this)
    }
  }
}

module.exports = { Simulator }
