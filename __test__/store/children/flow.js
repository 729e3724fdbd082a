'use strict'
// Enqueues messages without end, and prints the id of each as soon as it is accepted. It is killed meanwhile.
const { writeSync } = require('node:fs')

const { Sender } = require('../../../index.js')
const { message } = require('../support.js')

const AT_ONCE = 20

const { options, firstSeq, conversations } = JSON.parse(process.argv.at(-1))

async function main() {
  const sender = await Sender.open(options)
  for (let seq = firstSeq; ; seq += AT_ONCE) {
    const burst = Array.from({ length: AT_ONCE }, async (_, index) => {
      const { id } = await sender.enqueue(message(`m${seq + index}`, `c${(seq + index) % conversations}`, seq + index))
      // Into the pipe at once: what is printed survives the process.
      writeSync(1, `${id}\n`)
    })
    await Promise.all(burst)
  }
}

main()
