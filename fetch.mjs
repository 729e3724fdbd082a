import adapter from './fetch.js'

export const { createFetch } = adapter
