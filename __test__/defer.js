'use strict'

const closers = new WeakMap()

/** Runs `close` when the test ends, the last one first: senders before their files and servers. */
function defer(t, close) {
  let stack = closers.get(t)
  if (stack === undefined) {
    stack = []
    closers.set(t, stack)
    t.after(async () => {
      while (stack.length > 0) await stack.pop()()
    })
  }
  stack.push(close)
}

module.exports = { defer }
