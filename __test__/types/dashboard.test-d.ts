import http from 'node:http'

import type { IncomingMessage } from 'node:http'
import type { OperatorEvent, Sender, ServedDashboard } from '../../index.js'
import { createDashboard, type Dashboard, type DashboardAccess } from 'spillway/dashboard'
import { expect, type Equal } from './equal.js'

async function show(sender: Sender, senders: Set<Sender>): Promise<void> {
  const dashboard = createDashboard(sender)
  expect<Equal<typeof dashboard, Dashboard>>()
  http.createServer(dashboard)
  dashboard.close()
  createDashboard(senders, { readOnly: false, bodies: true, hosts: ['ops.example.com'], rampReport: { acme: 'ramp.json' } })
  createDashboard(() => senders, { authorize: async ({ headers }) => (headers.cookie === undefined ? false : 'read') })
  createDashboard([], { authorize: (request: IncomingMessage): DashboardAccess => ({ may: 'act', organizations: ['acme'], by: 'me' }) })
  // @ts-expect-error senders are needed
  createDashboard([{}])
  // @ts-expect-error no such right
  createDashboard(sender, { authorize: () => 'write' })
  // @ts-expect-error no such option
  createDashboard(sender, { port: 4080 })

  const served = await sender.serveDashboard({ port: 0, readOnly: false })
  expect<Equal<typeof served, ServedDashboard>>()
  // @ts-expect-error on loopback alone
  await sender.serveDashboard({ host: '0.0.0.0' })

  sender.on('operator', (event) => {
    expect<Equal<typeof event, OperatorEvent>>()
    if (event.result !== undefined && 'dropped' in event.result) event.result.dropped.toFixed()
  })
}

export { show }
