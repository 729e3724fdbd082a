// The same objects as `require('spillway/otel')` gives, by name. Through `require`, because Node 18 and 20 end the process when a
// CommonJS module that an ES module imports throws while it loads, even if the import's rejection is caught.
import { createRequire } from 'node:module'

export const { instrument } = createRequire(import.meta.url)('./index.js')
