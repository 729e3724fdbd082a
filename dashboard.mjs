// For scripts that run in a checkout and import by path; the package exports 'spillway/dashboard' from the same file.
export * from './lib/dashboard/index.mjs'
