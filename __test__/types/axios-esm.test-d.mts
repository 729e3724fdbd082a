// The same from an ES module, whose axios has types of its own.
import axios from 'axios'

import type { Sender } from '../../index.js'
import { createAdapter } from 'spillway/axios'

declare const sender: Sender

const http = axios.create({ adapter: createAdapter(sender, { axios }) })
void http.get('/x', { spillway: { priority: 10 } })
// @ts-expect-error no such option of a call
void http.get('/x', { spillway: { timeoutMs: 1 } })
