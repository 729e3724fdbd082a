'use strict'

/** One that throws, as an event does whose listener throws, must not keep those behind it from being heard. */
function each(things, hear) {
  let at = 0
  while (at < things.length) {
    try {
      while (at < things.length) hear(things[at++])
    } catch (error) {
      surface(error)
    }
  }
}

/** An error that nobody can be given is an uncaught exception, and interrupts nothing. */
function surface(error) {
  process.nextTick(() => {
    throw error
  })
}

module.exports = { each, surface }
