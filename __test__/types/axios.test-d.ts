// spillway/axios beside axios' own types.
import axios = require('axios')

import { createAdapter } from 'spillway/axios'
import type { Sender } from '../../index.js'
import { expect, type Equal } from './equal.js'

declare const sender: Sender

expect<Equal<ReturnType<typeof createAdapter>, axios.AxiosAdapter>>()
const http = axios.create({ baseURL: 'https://api.example', adapter: createAdapter(sender) })
createAdapter(sender, { axios, otherHosts: 'pass', priority: 10, maxBodyBytes: 1, maxResponseBytes: 1, expiresInMs: 1 })
createAdapter(sender, { retry: false, deadlineMs: 1, timeoutPer: 'call' })
void http.get('/x', { spillway: { priority: 10 } })
void http.post('/x', {}, { spillway: { retry: { maxAttempts: 2 }, deadlineMs: 1, timeoutPer: 'attempt', idempotent: true } })

// @ts-expect-error a sender is required
createAdapter()
// @ts-expect-error no such choice
createAdapter(sender, { otherHosts: 'some' })
// @ts-expect-error no such option of a call
void http.get('/x', { spillway: { otherHosts: 'pass' } })
