// The same objects as `require('spillway')` gives, by name: what one face throws is an instance of the other's class.
import spillway from './index.js'

export const {
  AuthError,
  ClosedError,
  ConfigError,
  DeliveryError,
  ExpiredError,
  QueueFullError,
  Sender,
  Simulator,
  SpillwayError,
  StoreError,
} = spillway
