import { createFetch } from 'spillway/fetch'
import type { Sender } from '../../index.js'
import { expect, type Equal } from './equal.js'

declare const sender: Sender

expect<Equal<ReturnType<typeof createFetch>, typeof globalThis.fetch>>()
globalThis.fetch = createFetch(sender)
createFetch(sender, { fetch, priority: 10, expiresInMs: 1, maxBodyBytes: 1, maxResponseBytes: 1, retry: false, deadlineMs: 1 })
createFetch(sender)('https://api', { spillway: { retry: { maxAttempts: 1, maxAgeMs: 0 }, deadlineMs: 1, idempotent: true } })
// @ts-expect-error fetch has no timeout of its own
createFetch(sender, { timeoutPer: 'call' })
// @ts-expect-error true is no number of attempts
createFetch(sender, { retry: true })

// @ts-expect-error a sender is required
createFetch()
// @ts-expect-error no such option
createFetch(sender, { redirect: 'manual' })
