// The same objects as `require('spillway/otel')` gives, by name.
import otel from './otel.js'

export const { instrument } = otel
