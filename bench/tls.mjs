// The same flow over TLS on loopback, connections kept open: what encrypting each message costs.
import { flows, ratios } from './flow.mjs'
import { summary } from './harness.mjs'
import { tls } from './servers.mjs'

export async function run() {
  const figures = await flows('tls', tls, ['spillway', 'undici'])
  const row = (what, bar, figure) => ({
    what: `TLS on loopback: ${what}, × undici`,
    bar,
    unit: '×',
    ...summary(ratios(figures, 'spillway', 'undici', figure), (ratio) => ratio),
    note: ['spillway', 'undici']
      .map((client) => `${client} ${Math.round(summary(figures[client], figure).median).toLocaleString('en-US')}`)
      .join(', '),
  })
  return {
    figures,
    rows: [
      row('messages per second', { atLeast: 2 }, (round) => round.perSecond),
      row('CPU per message', { atMost: 0.75 }, (round) => round.cpuUs),
    ],
  }
}
