import adapter from './index.js'

export const { createFetch } = adapter
