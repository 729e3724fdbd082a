// The ES module has the names of the CommonJS one and no default export.
export * from './index.js'
