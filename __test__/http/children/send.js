'use strict'

// Sends one message with the options in argv, and prints what came of it.

const { Sender } = require('../../../index.js')

async function main() {
  const sender = await Sender.open(JSON.parse(process.argv[2]))
  const outcome = await sender.send({ id: 'm', conversationId: 'c', body: { text: 'hi' } }).then(
    ({ status, body }) => ({ status, body }),
    ({ name, code, status, attempts, message }) => ({ name, code, status, attempts, message }),
  )
  await sender.close({ timeoutMs: 0 })
  console.log(JSON.stringify(outcome))
}

main()
