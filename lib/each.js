'use strict'

/** Calls `hear` for each. One that throws, such as an event with a faulty listener, must not stop the ones after it. */
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

/** Reports an error that no caller can receive as an uncaught exception, without interrupting anything. */
function surface(error) {
  process.nextTick(() => {
    throw error
  })
}

module.exports = { each, surface }
