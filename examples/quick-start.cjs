// node examples/quick-start.cjs
// Hand messages over without waiting for their delivery, and look at what could not be delivered.
'use strict'
const { Sender, Simulator } = require('spillway')

async function main() {
  // The server answers 400 to a body that contains this text.
  const simulator = await Simulator.start({ poisonText: 'bad news' })
  const sender = await Sender.open({
    organization: 'acme',
    apiUrl: simulator.url,
    loginUrl: simulator.url,
    credentials: { clientId: 'quick-start', clientSecret: 'not-a-secret' },
    route: 'messaging',
    store: 'memory',
    rateLimit: { requests: 100, perMs: 1_000 },
  })
  sender.on('deadLetter', ({ id, reason, status }) => console.log(`given up: ${id} (${reason}, status ${status})`))

  for (const text of ['good news', 'bad news', 'better news']) {
    const { id, duplicate } = await sender.enqueue({ id: text, conversationId: 'c1', body: { text } })
    console.log(`accepted: ${id}${duplicate ? ' (known already)' : ''}`)
  }
  await sender.drain({ timeoutMs: 10_000 })

  for await (const letter of sender.deadLetters()) {
    console.log(`dead letter ${letter.id}: ${letter.message}`)
    await simulator.set({ poisonText: null })
    await sender.redrive(letter.id)
  }
  await sender.drain({ timeoutMs: 10_000 })
  console.log(`server: ${simulator.ledger().uniqueIds} delivered`)

  await sender.close()
  await simulator.close()
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
