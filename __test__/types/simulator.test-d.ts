import {
  Simulator,
  type Ledger,
  type SimulatorAnswer,
  type SimulatorConfig,
  type SimulatorOutage,
  type SimulatorRoute,
} from '../../index.js'
import { expect, type Equal } from './equal.js'

const all: SimulatorConfig = {
  port: 0,
  host: '127.0.0.1',
  seed: 1,
  quota: [
    { requests: 100, perMs: 1_000, algorithm: 'fixed-window' },
    { requests: 3_000, perMs: 60_000 },
  ],
  tokenQuota: null,
  headers: 'ietf-legacy',
  resetFormat: 'unix',
  retryAfter: 'absurd',
  retryAfterText: true,
  latencyMs: { min: 20, max: 60 },
  arrivalMs: 5,
  faults: { cutBefore: 0.01, status503: 0.02, slowMs: 30_000 },
  script: [
    { request: 1, fault: 'cutAfter' },
    { request: 2, status: 500, headers: { 'retry-after': '4' }, body: '{}', accepted: true },
  ],
  answerStyle: 'genesys',
  routes: [
    {
      path: '/api/v2/taskmanagement/**',
      method: 'GET',
      quota: { requests: 2, perMs: 1_000, limitKey: 'k', namespace: 'n' },
      quotaPer: 'path',
      limitKey: 'k',
      namespace: 'n',
      status: 403,
      headers: {},
      body: '',
      accepted: false,
    },
  ],
  outages: [{ kind: 'html', status: 502, fromMs: 0, forMs: 60_000, target: 'both', paths: ['/api/**'] }, { kind: 'refused' }],
  refuse: false,
  tokenLifeMs: 5_000,
  credentials: { clientId: 'id', clientSecret: 'secret' },
  authRequired: true,
  tokenThrottle: { requests: 1, perMs: 1_000 },
  tokenFault: 'cut',
  maxBodyBytes: 512_000,
  poisonText: 'x',
  arrayAnswer: 'list',
  others: { requests: 1, perMs: 1_000, burst: 1 },
  tls: { cert: '', key: '' },
}

// @ts-expect-error no such algorithm
const noAlgorithm: SimulatorConfig = { quota: { requests: 1, perMs: 1, algorithm: 'leaky' } }
// @ts-expect-error no such fault
const noFault: SimulatorConfig = { faults: { status418: 1 } }

// @ts-expect-error no such kind
const noKind: SimulatorOutage = { kind: 'dns' }
// @ts-expect-error of which route?
const noPath: SimulatorRoute = { status: 403 }

async function members(): Promise<void> {
  await using simulator = await Simulator.start(all)
  await Simulator.start()
  expect<Equal<ReturnType<typeof simulator.ledger>, Ledger>>()
  expect<Equal<typeof simulator.url, string>>()
  await simulator.set({ refuse: true, quota: null })
  const { ids, failedIds, outageRequests } = simulator.ledger({ ids: true })
  expect<Equal<typeof failedIds, Record<string, number> | undefined>>()
  expect<Equal<typeof outageRequests, number>>()
  expect<Equal<SimulatorAnswer['accepted'], boolean | undefined>>()
  expect<Equal<typeof ids, Record<string, number> | undefined>>()
  // @ts-expect-error read only
  simulator.url = ''
  // @ts-expect-error it is started, not constructed
  new Simulator()
  await simulator.close()
}

export { members, noAlgorithm, noFault, noKind, noPath }
