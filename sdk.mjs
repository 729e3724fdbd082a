// For scripts that run in a checkout and import by path; the package exports 'spillway/sdk' from the same file.
export * from './lib/adapters/sdk/index.mjs'
