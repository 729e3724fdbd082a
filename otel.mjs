// For scripts that run in a checkout and import by path; the package exports 'spillway/otel' from the same file.
export * from './lib/otel/index.mjs'
