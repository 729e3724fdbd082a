// CPU time of the JavaScript thread for each message: `send` called, promise settled.
import { flows } from './flow.mjs'
import { summary } from './harness.mjs'
import { nginx, plain } from './servers.mjs'

export async function run() {
  const rows = []
  const figures = {}
  for (const [server, start] of Object.entries({ simulator: plain, nginx })) {
    figures[server] = await flows(server, start)
    if (figures[server] !== undefined) rows.push(row(server, figures[server]))
  }
  return { figures, rows }
}

function row(server, figures) {
  const main = (client) => summary(figures[client], (round) => round.mainUs ?? NaN)
  const engine = summary(figures.spillway, (round) => round.engineUs ?? NaN).median
  return {
    what: `main thread CPU per message, ${server}`,
    bar: { atMost: 4 },
    unit: 'µs',
    ...main('spillway'),
    note: `engine thread ${engine.toFixed(1)} µs; main thread of undici ${main('undici').median.toFixed(1)} µs`,
  }
}
