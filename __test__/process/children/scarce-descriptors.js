'use strict'
// Opens a sender while this process has no file descriptor left, then while it has one, two, three …, until it opens; prints
// what came of each try, and last of one with descriptors enough.
const { closeSync, openSync } = require('node:fs')

const { Sender } = require('../../../index.js')
const { native } = require('../../../lib/load.js')

const LEFT_MAX = 40

const { options, warmUp } = JSON.parse(process.argv.at(-1))

/** Takes all descriptors but `left`; gives the function that lets go of them. */
function takeAllBut(left) {
  const taken = []
  try {
    for (;;) taken.push(openSync('/dev/null'))
  } catch {}
  for (let count = 0; count < left; count++) closeSync(taken.pop())
  return () => taken.forEach((descriptor) => closeSync(descriptor))
}

async function attempt(options) {
  try {
    const sender = await Sender.open(options)
    await sender.close({ timeoutMs: 0 })
    return { opened: true }
  } catch ({ name, code, message }) {
    return { opened: false, name, code, message }
  }
}

async function main() {
  native()
  if (warmUp !== undefined) await attempt(warmUp)
  const tries = []
  do {
    const letGo = takeAllBut(tries.length)
    tries.push(await attempt(options))
    letGo()
  } while (!tries.at(-1).opened && tries.length < LEFT_MAX)
  const plenty = await attempt(options)
  console.log(JSON.stringify({ tries, plenty }))
}

main()
