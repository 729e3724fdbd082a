'use strict'
// Owns a file until it is killed.
const { Sender } = require('../../../index.js')

const { options } = JSON.parse(process.argv.at(-1))

Sender.open(options).then(() => {
  console.log('open')
  setInterval(() => {}, 1_000)
})
