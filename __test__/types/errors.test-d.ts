import { AuthError, ClosedError, ConfigError, DeliveryError, ExpiredError, QueueFullError, SpillwayError, StoreError } from '../../index.js'
import { expect, type Equal } from './equal.js'

function narrow(error: unknown): void {
  if (error instanceof DeliveryError) {
    expect<Equal<typeof error.status, number | null>>()
    expect<Equal<typeof error.messageId, string | null>>()
    expect<Equal<typeof error.attempts, number>>()
    expect<Equal<typeof error.ambiguous, boolean>>()
  } else if (error instanceof ConfigError) {
    expect<Equal<typeof error.field, string | undefined>>()
  } else if (error instanceof ExpiredError) {
    expect<Equal<typeof error.messageId, string | null>>()
  } else if (error instanceof SpillwayError) {
    expect<Equal<typeof error.code, string>>()
    // @ts-expect-error only some have it
    error.status
  }
}

const all: SpillwayError[] = [
  new AuthError('x'),
  new ClosedError('x'),
  new ConfigError('x', { code: 'CONFIG_INVALID' }),
  new DeliveryError('x'),
  new ExpiredError('x'),
  new QueueFullError('x'),
  new StoreError('x', { cause: new Error('y') }),
]

export { all, narrow }
