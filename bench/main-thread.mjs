// CPU time of the JavaScript thread for each message: `send` called, promise settled.
import { flows } from './flow.mjs'
import { summary } from './harness.mjs'
import { plain } from './servers.mjs'

export async function run() {
  const figures = await flows('simulator', plain)
  const main = (client) => summary(figures[client], (round) => round.mainUs ?? NaN)
  const engine = summary(figures.spillway, (round) => round.engineUs ?? NaN).median
  return {
    figures,
    rows: [{
      what: 'main thread CPU per message',
      bar: { atMost: 4 },
      unit: 'µs',
      ...main('spillway'),
      note: `engine thread ${engine.toFixed(1)} µs; main thread of undici ${main('undici').median.toFixed(1)} µs`,
    }],
  }
}
