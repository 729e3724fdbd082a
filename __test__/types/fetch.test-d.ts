import { createFetch } from 'spillway/fetch'
import { Sender } from '../../index.js'
import { expect, type Equal } from './equal.js'

declare const sender: Sender

expect<Equal<ReturnType<typeof createFetch>, typeof globalThis.fetch>>()
globalThis.fetch = createFetch(sender)
createFetch(sender, { fetch, priority: 10, expiresInMs: 1, maxBodyBytes: 1, maxResponseBytes: 1 })

// @ts-expect-error a sender is required
createFetch()
// @ts-expect-error no such option
createFetch(sender, { redirect: 'manual' })
