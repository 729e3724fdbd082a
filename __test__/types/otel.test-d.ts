import { metrics, trace } from '@opentelemetry/api'

import type { Sender } from '../../index.js'
import { instrument } from 'spillway/otel'
import { expect, type Equal } from './equal.js'

function observe(sender: Sender): void {
  const off = instrument(sender)
  expect<Equal<typeof off, () => void>>()
  instrument(sender, { tracerProvider: trace.getTracerProvider(), meterProvider: metrics.getMeterProvider() })
  // @ts-expect-error a sender is needed
  instrument({})
  // @ts-expect-error a provider, not a tracer
  instrument(sender, { tracerProvider: trace.getTracer('mine') })
  // @ts-expect-error no such option
  instrument(sender, { tracer: trace.getTracer('mine') })
}

export { observe }
