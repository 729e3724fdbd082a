'use strict'
// Opens the file that others have left, delivers what is in it, and tells how it went.
const { Sender } = require('../../../index.js')

const { options } = JSON.parse(process.argv.at(-1))

async function main() {
  const sender = await Sender.open(options)
  const { recovered } = sender
  await sender.drain({ timeoutMs: 40_000 })
  const letters = []
  for await (const letter of sender.deadLetters()) letters.push({ id: letter.id, reason: letter.reason })
  await sender.close()
  console.log(JSON.stringify({ recovered, letters }))
}

main()
