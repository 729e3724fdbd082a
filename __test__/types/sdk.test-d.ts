// spillway/sdk beside the types of the real SDK.
import * as platformClient from 'purecloud-platform-client-v2'

import type { Sender } from '../../index.js'
import { SpillwayHttpClient, useSpillway } from 'spillway/sdk'
import { expect, type Equal } from './equal.js'

declare const sender: Sender
const client = platformClient.ApiClient.instance

expect<Equal<ReturnType<typeof useSpillway>, SpillwayHttpClient>>()
useSpillway(client, sender)
useSpillway(client, sender, { priority: 10, expiresInMs: 1_000, maxBodyBytes: 1, maxResponseBytes: 1 })
useSpillway(client, sender, { retry: { maxAttempts: 2, maxAgeMs: 0 }, deadlineMs: 1, timeoutPer: 'call' })
client.setHttpClient(new SpillwayHttpClient(client, sender))
client.setHttpClient(useSpillway(client, sender))
useSpillway(client, sender).setPreHook(async (config) => config)

// @ts-expect-error a sender is required
useSpillway(client)
// @ts-expect-error no sender
useSpillway(client, client)
// @ts-expect-error no ApiClient
useSpillway({}, sender)
// @ts-expect-error a word says what it bounds
useSpillway(client, sender, { timeoutPer: 1_000 })
// @ts-expect-error no such option
useSpillway(client, sender, { timeoutMs: 1 })
