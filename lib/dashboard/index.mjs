// The same objects as `require('spillway/dashboard')` gives, by name.
import dashboard from './index.js'

export const { createDashboard } = dashboard
