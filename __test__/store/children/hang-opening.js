'use strict'
// Opens files on a disk that hangs, and again once it answers.
const fs = require('node:fs')

const { Sender } = require('../../../index.js')
const { message } = require('../support.js')

const { options, control } = JSON.parse(process.argv.at(-1))
const set = (mode) => fs.writeFileSync(control, mode, { flag: 'r+' })

async function main() {
  set('h')
  const refusals = []
  for (let n = 0; n < 2; n++)
    refusals.push(
      await Sender.open(options).then(
        () => null,
        ({ name, code, message }) => ({ name, code, message }),
      ),
    )
  set('-')
  // The thread of the first opening may own the file for the moment that it needs to see that nobody waits for it.
  const sender = await Sender.open({ ...options, store: `${options.store}?wait=20s` })
  await sender.send(message('after', 'c', 1))
  await sender.close()
  console.log(JSON.stringify(refusals))
}

main()
