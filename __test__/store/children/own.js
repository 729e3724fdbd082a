'use strict'
// Owns a file until it is killed, or told to end.
const { Sender } = require('../../../index.js')

const { options } = JSON.parse(process.argv.at(-1))

Sender.open(options).then((sender) => {
  process.on('SIGTERM', () => sender.close().then(() => process.exit(0)))
  console.log('open')
  setInterval(() => {}, 1_000)
})
