// For scripts that run in a checkout and import by path; the package exports 'spillway/axios' from the same file.
export * from './lib/adapters/axios/index.mjs'
