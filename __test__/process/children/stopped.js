'use strict'

// Sends one message, or makes one call, and prints what came of it. Its parent stops the process meanwhile.

const { Sender } = require('../../../index.js')

const { options, how, call, bytes } = JSON.parse(process.argv.at(-1))

async function main() {
  const sender = await Sender.open(options)
  const sent = how === 'call' ? sender.request(call) : sender.send({ id: 'm', conversationId: 'c', body: { text: 'm'.repeat(bytes) } })
  const outcome = await sent.then(
    ({ status, attempts, body }) => ({ status, attempts, length: how === 'call' ? body.text?.length : undefined }),
    ({ code, reason }) => ({ code, reason }),
  )
  console.log(JSON.stringify(outcome))
  await sender.close({ timeoutMs: 0 })
}

main()
