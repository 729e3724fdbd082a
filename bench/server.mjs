// The simulator in a process of its own; the harness asks it by messages, and it ends with the harness.
import { Simulator } from '../index.mjs'

const simulator = await Simulator.start(JSON.parse(process.argv[2]))
process.on('message', async (question) => {
  if (question === 'ledger') return process.send(simulator.ledger())
  await simulator.close()
  process.disconnect()
})
process.on('disconnect', () => process.exit())
process.send({ url: simulator.url })
