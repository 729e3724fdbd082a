// CPU time of the whole process, all threads together, for each message of the same flow.
import { flows, ratios } from './flow.mjs'
import { summary } from './harness.mjs'
import { nginx, plain } from './servers.mjs'

export async function run() {
  const rows = []
  const figures = {}
  for (const [server, start] of Object.entries({ simulator: plain, nginx })) {
    figures[server] = await flows(server, start)
    if (figures[server] === undefined) continue
    const cpu = (client) => summary(figures[server][client], (round) => round.cpuUs).median.toFixed(1)
    rows.push({
      what: `CPU of the process per message, ${server}, × undici`,
      bar: { atMost: 0.75 },
      unit: '×',
      ...summary(
        ratios(figures[server], 'spillway', 'undici', (round) => round.cpuUs),
        (ratio) => ratio,
      ),
      note: `${cpu('spillway')} µs; undici ${cpu('undici')}, fetch ${cpu('fetch')}, axios ${cpu('axios')}`,
    })
  }
  return { figures, rows }
}
