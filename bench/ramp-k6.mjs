// k6's recipe for a breakpoint test: arrivals that rise until requests fail. `bench/ramp.mjs` runs it with a k6 of the PATH.
import http from 'k6/http'
import exec from 'k6/execution'
import { Counter } from 'k6/metrics'

const { OUT, TARGET, TOKEN, TO_PER_SECOND, FOR_MS, FAILED_SHARE_MAX, DELAY_ABORT_MS } = __ENV

export const options = {
  scenarios: {
    breakpoint: {
      executor: 'ramping-arrival-rate',
      preAllocatedVUs: 100,
      maxVUs: 500,
      stages: [{ duration: `${FOR_MS}ms`, target: Number(TO_PER_SECOND) }],
    },
  },
  thresholds: {
    http_req_failed: [{ threshold: `rate<=${FAILED_SHARE_MAX}`, abortOnFail: true, delayAbortEval: `${DELAY_ABORT_MS}ms` }],
  },
  summaryTrendStats: ['p(50)', 'p(99)'],
}

const slow = new Counter('slow')

export default function () {
  const number = exec.scenario.iterationInTest
  const body = JSON.stringify({ id: `k6-${number}`, text: 'k6' })
  const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' }
  const { timings } = http.post(`${TARGET}/api/v2/messaging/conversations/k6-${number % 7}/messages`, body, { headers })
  if (timings.duration > 250) slow.add(1)
}

export function handleSummary({ state, metrics }) {
  const { http_req_duration: duration, http_reqs: requests } = metrics
  const count = requests.values.count
  const figures = {
    elapsedMs: state.testRunDurationMs,
    delays: { p50: duration.values['p(50)'], p99: duration.values['p(99)'], slow: (metrics.slow?.values.count ?? 0) / count },
  }
  return { [OUT]: JSON.stringify(figures) }
}
