'use strict'
// Sends with one sender, whose connections are idle afterwards; takes all file descriptors that are left, and sends with another.
const { openSync } = require('node:fs')

const { Sender } = require('../../../index.js')
const { message } = require('../support.js')

const CONVERSATIONS = 20

const { idle, other } = JSON.parse(process.argv.at(-1))

async function main() {
  const [first, second] = [await Sender.open(idle), await Sender.open(other)]
  await Promise.all(Array.from({ length: CONVERSATIONS }, (_, index) => first.send(message(`m${index}`, `c${index}`, 1))))
  let taken = 0
  try {
    for (;;) {
      openSync('/dev/null')
      taken += 1
    }
  } catch {}
  const { status, attempts } = await second.send(message('other', 'c', 1))
  console.log(JSON.stringify({ taken, status, attempts }))
  process.exit()
}

main()
