// One client in a process of its own, so that its CPU is its own and that it can be stopped in the middle: sends a
// backlog through it, and tells contest.mjs what became of it. It ends with its parent.
import { setTimeout as sleep } from 'node:timers/promises'

const { peer, url, told, messages, conversations, atMs } = JSON.parse(process.argv[2])
const { open } = await import(`./peers/${peer}.mjs`)

const message = (index) => ({
  id: `m-${index}`,
  conversationId: `c-${index % conversations}`,
  seq: Math.floor(index / conversations),
  text: 'The rain jacket arrived with a crack down the left side. I have photos.',
})

const client = await open({ url, told, messages })
const state = { settled: 0, failed: 0, ended: false }
process.send('starts')
const cpuBefore = process.cpuUsage()
const startedAt = performance.now()

function report() {
  const { user, system } = process.cpuUsage(cpuBefore)
  process.send({ ...state, elapsedMs: performance.now() - startedAt, cpuUs: user + system })
}

async function follow(index) {
  // `atMs`, where it is given, says when each message arrives; without it all of them wait already.
  if (atMs?.[index]) await sleep(atMs[index])
  try {
    await client.send(message(index))
  } catch {
    state.failed++
  }
  state.settled++
}

process.on('message', report)
process.on('disconnect', () => process.exit())
await Promise.all(Array.from({ length: messages }, (_, index) => follow(index)))
state.ended = true
report()
