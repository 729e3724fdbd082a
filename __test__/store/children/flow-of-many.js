'use strict'
// Enqueues messages of several organizations without end, and prints the organization and the id of each as soon as it is
// accepted. It is killed meanwhile.
const { writeSync } = require('node:fs')

const { Sender } = require('../../../index.js')
const { message } = require('../support.js')

const { all, firstSeq } = JSON.parse(process.argv.at(-1))

async function flow(options) {
  const sender = await Sender.open(options)
  for (let seq = firstSeq; ; seq++) {
    const { id } = await sender.enqueue(message(`${options.organization} ${seq}`, 'c', seq))
    // Into the pipe at once: what is printed survives the process.
    writeSync(1, `${id}\n`)
  }
}

all.forEach(flow)
