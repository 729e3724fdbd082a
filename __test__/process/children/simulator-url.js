'use strict'
// Starts a simulator, keeps its address alone, and asks it again after garbage collections. It says nothing more to it, and ends.
const { setImmediate: tick } = require('node:timers/promises')

const { Simulator } = require('../../../index.js')

async function main() {
  const { url } = await Simulator.start({ authRequired: false })
  const ask = () =>
    fetch(`${url}/api/v2/users/me`, { headers: { connection: 'close' } }).then(
      ({ status }) => status,
      ({ cause }) => cause?.code,
    )
  const before = await ask()
  for (let pass = 0; pass < 20; pass++) {
    global.gc()
    await tick()
  }
  console.log(JSON.stringify({ before, after: await ask() }))
}

main()
