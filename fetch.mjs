// For scripts that run in a checkout and import by path; the package exports 'spillway/fetch' from the same file.
export * from './lib/adapters/fetch/index.mjs'
