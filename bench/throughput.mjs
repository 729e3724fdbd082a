// `send()` to settled: one request a message, 64 connections, bodies of 200 bytes. In messages per second, as a multiple of
// what the others make in the same minute.
import { flows, ratios } from './flow.mjs'
import { summary } from './harness.mjs'
import { nginx, plain } from './servers.mjs'

const BARS = { undici: 2, fetch: 5, axios: 10 }

export async function run() {
  const rows = []
  const figures = {}
  for (const [server, start] of Object.entries({ simulator: plain, nginx })) {
    figures[server] = await flows(server, start)
    if (figures[server] === undefined) continue
    for (const [peer, bar] of Object.entries(BARS)) rows.push(row(server, peer, bar, figures[server]))
  }
  return { figures, rows }
}

function row(server, peer, bar, figures) {
  const perSecond = (round) => round.perSecond
  const own = Math.round(summary(figures.spillway, perSecond).median)
  const its = Math.round(summary(figures[peer], perSecond).median)
  return {
    what: `send() to settled, ${server}, × ${peer}`,
    bar: { atLeast: bar },
    unit: '×',
    ...summary(ratios(figures, 'spillway', peer, perSecond), (ratio) => ratio),
    note: `${own.toLocaleString('en-US')} messages/s, ${peer} ${its.toLocaleString('en-US')}`,
  }
}
